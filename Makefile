# make demo: denoise a real scan; make test: the test suite; make mutants: do the tests notice breakages?
# make lint: style and types.
# Each sets up its own environment in $(VENV) first, once.

VENV ?= .venv
# The first of these that is 3.11 or newer; `make PYTHON=/path/to/python` overrides.
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
IS_RECENT := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for each in $(CANDIDATES); do \
	if $$each -c '$(IS_RECENT)' 2>/dev/null; then echo $$each; break; fi; done)

BIN := $(VENV)/bin
STAMP := $(VENV)/installed.stamp
NOISY := samples/brain-t2-0.3T-repeat1.nii.gz
REFERENCE := samples/brain-t2-0.3T-reference.nii.gz

READERS := dicom dicom-zip nifti nifti-gz nrrd metaimage mgh hdf5 zarr matlab minc analyze par afni nhdr png tiff npy npz
# Inside of headers that are right: codestreams, chunks, streams, elements; and model folders.
READERS += dicom-jpeg dicom-jpeg-12 dicom-jpeg-lossless dicom-jpeg-ls dicom-jpeg-2000 dicom-rle zarr-chunk nrrd-stream matlab-elements model
SECONDS ?= 60

# Which of the mutants: PART=2/5, CHANGED=COMMIT, MINUTES=5; all without.
MUTANTS := $(if $(PART),--part $(PART)) $(if $(CHANGED),--changed $(CHANGED)) $(if $(MINUTES),--minutes $(MINUTES))

.PHONY: help demo serve-demo test mutants lint fuzz bench pretrain which-python

help:
	@echo "make demo   denoise a real 0.3T brain scan (under 2 minutes on 2 cores, after the set-up)"
	@echo "make serve-demo   start the server with the sample scan in it, and print the address of its page"
	@echo "make test   run the test suite"
	@echo "make mutants   break the package in one place at a time: tests must notice (PART=1/3, CHANGED=COMMIT)"
	@echo "make lint   check style and types"
	@echo "make fuzz   feed damaged files to every reader, SECONDS=60 each (Linux)"
	@echo "make pretrain DATA=DIR   learn the package's weights anew (hours; docs/method.md)"
	@echo "make bench DATA=DIR   ours beside its peers (hours; see docs/benchmarks.md)"

demo: $(STAMP)
	@mkdir -p demo
	$(BIN)/diffdenoise denoise $(NOISY) -o demo/at-once.nii.gz --report demo/report.html --overwrite
	$(BIN)/diffdenoise evaluate demo/at-once.nii.gz $(REFERENCE) --noisy $(NOISY) --brief \
	  --picture demo/at-once.png --overwrite
	@echo
	$(BIN)/diffdenoise denoise $(NOISY) -o demo/denoised.nii.gz --minutes 1 --overwrite
	$(BIN)/diffdenoise evaluate demo/denoised.nii.gz $(REFERENCE) --noisy $(NOISY) --brief \
	  --picture demo/one-minute.png --overwrite
	@echo
	@echo "noisy scan      $(NOISY)"
	@echo "denoised scans  demo/at-once.nii.gz, and after a minute of training on it, demo/denoised.nii.gz"
	@echo "pictures        demo/at-once.png, demo/one-minute.png: noisy, denoised, residual, reference"
	@echo "trust report    demo/report.html: was anatomy removed, or invented? (open it in a browser)"
	@echo "reference       $(REFERENCE)"
	@echo "The reference is the mean of two other repeats of the same scan. Nothing was trained on it, and it"
	@echo "has noise of its own: even a perfect denoiser would score about 29 dB against it (samples/README.md)."

serve-demo: $(STAMP)
	$(BIN)/python -m samples.serve_demo $(NOISY)

# One thread a worker: torch in two processes on all cores each is slower than on one.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

mutants: $(STAMP)
	$(BIN)/python -m mutants $(MUTANTS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# atheris has wheels for Linux only, so it is no part of what the tests need.
fuzz: $(STAMP)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev,bench,gdcm,hdf5,zarr,fuzz]'
	@for reader in $(READERS); do \
	  echo "fuzzing $$reader"; \
	  $(BIN)/python -m fuzz.readers $$reader --seconds $(SECONDS) >fuzz/log 2>&1 \
	    || { tail -n 40 fuzz/log; echo "the input that did it is in fuzz/found"; exit 1; }; \
	  grep -h number_of_executed_units fuzz/log; \
	done

# Cells that are there are not run again, so that it can be stopped and goes on.
bench: $(STAMP)
	@if [ -z "$(DATA)" ]; then echo "make bench: name the data folder: make bench DATA=DIR (docs/benchmarks.md)" >&2; exit 1; fi
	$(BIN)/python -m bench.noise_estimates --data $(DATA)
	$(BIN)/python -m bench.quality --data $(DATA) --threads 1 --missing
	$(BIN)/python -m bench.tables
	$(BIN)/python -m bench.gain

# In pieces of PAUSE seconds, if that is given: the same line goes on. DATA: the folder of real scans.
STEPS ?= 24000
OUT ?= pretrained
pretrain: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pretraining.train --steps $(STEPS) --out $(OUT) \
	  $(if $(DATA),--scans $(DATA)) $(if $(PAUSE),--pause-after $(PAUSE))

which-python:
	@$(require-python)
	@echo "$$($(PYTHON) --version) ($(PYTHON)), environment in $(VENV)"

define require-python
if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c '$(IS_RECENT)' 2>/dev/null; then \
  found=$$($(or $(PYTHON),python3) -c 'import platform; print("Python " + platform.python_version())' 2>/dev/null); \
  echo "make: found $${found:-no Python} as $(or $(PYTHON),python3); expected Python 3.11 or newer;" \
    "install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; fi
endef

# Made again when the dependencies change. One pip command, so that it resolves everything together.
$(STAMP): pyproject.toml constraints.txt
	@$(require-python)
	@if [ ! -e $(BIN)/python ]; then echo "making an environment in $(VENV) with $(PYTHON)"; \
	  $(PYTHON) -m venv $(VENV); fi
	@$(BIN)/python -c '$(IS_RECENT)' && $(BIN)/python -m pip --version >/dev/null || { echo "make: $(VENV) holds a Python that is older than 3.11, or is broken;" \
	  "delete the folder $(VENV) and run make again" >&2; exit 1; }
	@echo "installing into $(VENV): a few minutes the first time"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev,bench,gdcm,hdf5,zarr]'
	@touch $@
