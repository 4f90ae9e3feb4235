"""Feed damaged files to one reader: whatever is in a file, the reader returns a scan or raises our error.

    python -m fuzz.readers dicom [--seconds 60]

Inputs grow from the committed ones in fuzz/corpus; what libFuzzer finds worth keeping goes into a
temporary folder. A crash, a hang of over 10 s, or more than 1 GiB of memory ends the run with an error
and leaves the input in fuzz/found.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["diffdenoise.scan", "pydicom", "nibabel"]):
    from diffdenoise.errors import DiffDenoiseError
    from diffdenoise.scan.read import read_scan

ROOT = Path(__file__).parent
CORPUS, FOUND = ROOT / "corpus", ROOT / "found"
#: File name suffix for each reader. Of MATLAB files, whatever SciPy does to them happens in another process.
SUFFIXES = {
    "dicom": ".dcm",
    "dicom-zip": ".zip",
    "nifti": ".nii",
    "nifti-gz": ".nii.gz",
    "png": ".png",
    "tiff": ".tif",
    "nrrd": ".nrrd",
    "metaimage": ".mha",
    "mgh": ".mgh",
    "hdf5": ".h5",
    "zarr": ".zarr",
    "npy": ".npy",
    "npz": ".npz",
}
_MOST_BYTES, _MOST_MEMORY_MB, _LONGEST_S = 2**20, 1024, 10


def pack(store: Path) -> bytes:
    """A plain Zarr store of one chunk as one input: its metadata, a zero, its chunk."""
    (chunk,) = (path for path in store.rglob("*") if path.is_file() and path.name != "zarr.json")
    return (store / "zarr.json").read_bytes() + b"\0" + chunk.read_bytes()


def unpack(data: bytes, store: Path) -> None:
    """The store of an input, for images of three axes."""
    metadata, _, chunk = data.partition(b"\0")
    place = store / "c" / "0" / "0" / "0"
    place.parent.mkdir(parents=True, exist_ok=True)
    (store / "zarr.json").write_bytes(metadata)
    place.write_bytes(chunk)


def main() -> None:
    """Fuzz one reader."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("reader", choices=SUFFIXES)
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    FOUND.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"input{SUFFIXES[given.reader]}"
        (Path(folder) / "kept").mkdir()

        def read(data: bytes) -> None:
            if given.reader == "zarr":
                unpack(data, path)
            else:
                path.write_bytes(data)
            try:
                read_scan(path)
            except DiffDenoiseError as error:
                if "\n" in str(error):
                    raise RuntimeError("an error of more than one line") from error

        options = [
            f"-max_len={_MOST_BYTES}",
            f"-rss_limit_mb={_MOST_MEMORY_MB}",
            f"-timeout={_LONGEST_S}",
            f"-max_total_time={given.seconds}",
            f"-artifact_prefix={FOUND}/{given.reader}-",
            "-print_final_stats=1",
            "-verbosity=0",
        ]
        atheris.Setup([sys.argv[0], *options, str(Path(folder) / "kept"), str(CORPUS / given.reader)], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
