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
#: File name suffix for each reader. MATLAB files are tried in another process first, a few of them a second.
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
    "matlab": ".mat",
    "minc": ".mnc",
    "analyze": ".hdr",
    "par": ".par",
    "afni": ".head",
    "nhdr": ".nhdr",
    "npy": ".npy",
    "npz": ".npz",
}
_MOST_BYTES, _MOST_MEMORY_MB, _LONGEST_S = 2**20, 1024, 10


def parts_of(path: Path) -> tuple[Path, Path] | None:
    """Return the two files that an image is made of; None if it is but one.

    Of a Zarr store, that is a plain one of three axes in one chunk; of a detached NRRD header, `input.raw`.
    """
    if path.suffix == ".zarr":
        return path / "zarr.json", path / "c" / "0" / "0" / "0"
    other = {".hdr": ".img", ".par": ".rec", ".head": ".brik", ".nhdr": ".raw"}.get(path.suffix)
    return None if other is None else (path, path.with_suffix(other))


def unpack(data: bytes, path: Path) -> None:
    """Write an input as the file that it is, or as two: the length of the first, in four bytes, both."""
    parts = parts_of(path)
    if parts is None:
        path.write_bytes(data)
        return
    length = int.from_bytes(data[:4], "little")
    parts[1].parent.mkdir(parents=True, exist_ok=True)
    parts[0].write_bytes(data[4 : 4 + length])
    parts[1].write_bytes(data[4 + length :])


def pack(path: Path) -> bytes:
    """Return the input of an image."""
    parts = parts_of(path)
    if parts is None:
        return path.read_bytes()
    first, second = (part.read_bytes() for part in parts)
    return len(first).to_bytes(4, "little") + first + second


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
            unpack(data, path)
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
