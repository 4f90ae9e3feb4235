"""Write the committed inputs that fuzzing starts from: `python -m fuzz.make_corpus`."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from fuzz.readers import CORPUS, SUFFIXES, pack, parts_of
from tests.scan.dicom.files import dataset, enhanced, pixels, save
from tests.scan.files import FILES, make


def main() -> None:
    """Write one small file of each kind that the tests know, by reader."""
    shutil.rmtree(CORPUS, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for case in FILES:
            (folder / case).mkdir()
            keep(make(case, folder / case), case)
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
        for path, name in pairs(folder):
            keep(path, name)


def pairs(folder: Path) -> Iterator[tuple[Path, str]]:
    """Small images of the formats that are only read."""
    data = np.arange(9 * 11 * 4, dtype=np.int16).reshape(9, 11, 4)
    for name, kind in {"analyze": nib.AnalyzeImage, "nifti-pair": nib.Nifti1Pair}.items():
        nib.save(kind(data, np.eye(4)), folder / f"{name}.img")
        yield folder / f"{name}.hdr", name
    packaged = Path(nib.__file__).parent / "tests" / "data"
    for given in ("tiny.mnc", "minc2_1_scale.mnc", "phantom_EPI_asc_CLEAR_2_1.PAR", "scaled+tlrc.HEAD"):
        name = Path(given).stem
        path = folder / f"{name}{Path(given).suffix.lower()}"
        shutil.copyfile(packaged / given, path)
        parts = parts_of(path)
        if parts is not None:
            voxels = (packaged / given).with_suffix(parts[1].suffix.upper())
            # Blank, so that they pack well.
            parts[1].write_bytes(bytes(voxels.stat().st_size))
        yield path, name
    nrrd.write(str(folder / "input.nhdr"), data, {"encoding": "raw"}, detached_header=True)
    yield folder / "input.nhdr", "nhdr"


def keep(path: Path, name: str) -> None:
    """Put an image in the corpus of the reader of its suffix."""
    for reader, suffix in SUFFIXES.items():
        if not path.name.lower().endswith(suffix) or not all(part.is_file() for part in parts_of(path) or ()):
            continue
        (CORPUS / reader).mkdir(parents=True, exist_ok=True)
        (CORPUS / reader / name).write_bytes(pack(path))


if __name__ == "__main__":
    main()
