"""Write the committed inputs that fuzzing starts from: `python -m fuzz.make_corpus`."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from fuzz.readers import CORPUS, SUFFIXES, pack
from tests.scan.dicom.files import dataset, enhanced, pixels, save
from tests.scan.files import FILES, make

#: Zarr stores of one chunk.
PACKED = ("zarr-int16",)


def main() -> None:
    """Write one small file of each kind that the tests know, by reader."""
    shutil.rmtree(CORPUS, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for case in FILES:
            keep(make(case, folder), case)
        for name, syntax in {"rle": RLELossless, "jls": JPEGLSLossless, "j2k": JPEG2000Lossless}.items():
            made = dataset(pixels(1, 40, 48, dtype=np.uint16)[0])
            made.compress(syntax, generate_instance_uid=False)
            keep(save(made, folder / f"{name}.dcm"), name)
        plain = save(dataset(pixels(1)[0]), folder / "plain.dcm")
        keep(plain, "plain")
        enhanced(folder)
        keep((folder / "enhanced").rename(folder / "enhanced.dcm"), "enhanced")
        with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(plain, "a/plain")
        keep(folder / "a.zip", "zip")


def keep(path: Path, name: str) -> None:
    """Copy a file to the corpus of the reader of its suffix."""
    fitting = [reader for reader, suffix in SUFFIXES.items() if path.name.lower().endswith(suffix)]
    for reader in fitting:
        (CORPUS / reader).mkdir(parents=True, exist_ok=True)
        if path.is_file():
            shutil.copyfile(path, CORPUS / reader / name)
        elif name in PACKED:
            (CORPUS / reader / name).write_bytes(pack(path))


if __name__ == "__main__":
    main()
