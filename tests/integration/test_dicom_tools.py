"""What other people's tools say of derived series: dcmtk, dicom3tools and dcm2niix, from Debian."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from diffdenoise.scan.dicom.derive import Derivation
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.write import write_scan
from tests.scan.dicom.files import CT, enhanced, slices
from tests.scan.dicom.test_mosaic import mosaics

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
Make = Callable[[Path], None]


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install dcmtk dicom3tools dcm2niix")
    return found


def a_file(name: str) -> Make:
    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        shutil.copy(FILES / name, folder / "IM1")

    return make


SOURCES: dict[str, Make] = {
    "mr": lambda folder: slices(folder),
    "ct": lambda folder: slices(folder, sop_class=CT, modality="CT", RescaleSlope=1, RescaleIntercept=-1024),
    "enhanced": lambda folder: enhanced(folder),
    "enhanced-synchronised": lambda folder: enhanced(
        folder,
        BulkMotionCompensationTechnique="NAVIGATOR",
        BulkMotionSignalSource="NAVIGATOR",
        CardiacSynchronizationTechnique="PROSPECTIVE",
        CardiacSignalSource="ECG",
        CardiacRRIntervalSpecified=1000.0,
        IntervalsAcquired=1,
        IntervalsRejected=0,
    ),
    "without-uids": lambda folder: slices(
        folder, SeriesInstanceUID=None, StudyInstanceUID=None, FrameOfReferenceUID=None
    ),
    "real-mosaic": lambda folder: mosaics(folder),
    "real-mr": a_file("MR_small.dcm"),
    "real-ct": a_file("CT_small.dcm"),
    "real-big-endian": a_file("MR_small_bigendian.dcm"),
    "real-jpeg-2000": a_file("693_J2KI.dcm"),
    "real-overlay": a_file("examples_overlay.dcm"),
}


def derived(kind: str, tmp_path: Path, how: Derivation | None = None) -> list[tuple[Path, Path]]:
    """Source and derived files in pairs."""
    SOURCES[kind](tmp_path / "in")
    scan = read_scan(tmp_path / "in")
    target = tmp_path / "out"
    names = [path.name for path in (tmp_path / "in").iterdir()]
    write_scan(scan, target if len(names) > 1 else target / names[0], derivation=how)
    return [(tmp_path / "in" / name, target / name) for name in names]


def said(*words: str | Path) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, timeout=60, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


@pytest.mark.parametrize("kind", SOURCES)
def test_dciodvfy_finds_no_error_that_the_source_did_not_have(kind: str, tmp_path: Path) -> None:
    dciodvfy = tool("dciodvfy")
    for source, result in derived(kind, tmp_path):
        before, after = (
            {line for line in said(dciodvfy, path).splitlines() if line.startswith("Error")}
            for path in (source, result)
        )
        assert after <= before


@pytest.mark.parametrize("compression", ["none", "jpeg-ls"])
@pytest.mark.parametrize("kind", ["mr", "ct", "enhanced", "real-mr"])
def test_dcmtk_reads_the_same_values(kind: str, compression: str, tmp_path: Path) -> None:
    dcmdump, decode = tool("dcmdump"), tool("dcmdjpls")
    how = Derivation(compression="jpeg-ls" if compression == "jpeg-ls" else "none")
    for source, result in derived(kind, tmp_path, how):
        assert "DiffDenoise" in said(dcmdump, "+P", "DerivationDescription", result)
        if compression == "jpeg-ls":
            assert said(decode, result, tmp_path / "plain") == ""
            result = tmp_path / "plain"
        old, new = pydicom.dcmread(source), pydicom.dcmread(result)
        assert np.array_equal(new.pixel_array, old.pixel_array)


@pytest.mark.parametrize("kind", ["mr", "ct", "enhanced", "real-mosaic"])
def test_dcm2niix_sees_the_same_geometry_and_values_as_we_do(kind: str, tmp_path: Path) -> None:
    dcm2niix = tool("dcm2niix")
    derived(kind, tmp_path)
    images = []
    for side in ("in", "out"):
        (tmp_path / f"nii-{side}").mkdir()
        said(dcm2niix, "-o", tmp_path / f"nii-{side}", "-f", "a", "-b", "n", tmp_path / side)
        (found,) = (tmp_path / f"nii-{side}").glob("*.nii")
        images.append(nibabel.load(found))
    before, after = images
    assert np.allclose(before.affine, after.affine, atol=1e-5)
    assert np.array_equal(before.get_fdata(), after.get_fdata())
    # dcm2niix may turn axes round: each voxel must have its value at the same place in space.
    ours = read_scan(tmp_path / "in")
    voxels = np.indices(ours.data.shape[:3]).reshape(3, -1)
    places = ours.affine @ np.vstack([voxels, np.ones(voxels.shape[1])])
    theirs = np.rint(np.linalg.inv(before.affine) @ places)[:3].astype(int)
    assert np.allclose((np.linalg.inv(before.affine) @ places)[:3], theirs, atol=1e-2)
    assert np.allclose(before.get_fdata()[tuple(theirs)], ours.data[tuple(voxels)])


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEG-lossy.dcm"])
def test_dcmtk_decodes_jpeg_of_12_bits_to_the_same_values(name: str, tmp_path: Path) -> None:
    subprocess.run([tool("dcmdjpeg"), FILES / name, tmp_path / "plain"], check=True, capture_output=True)
    assert np.array_equal(read_scan(FILES / name).data, read_scan(tmp_path / "plain").data)
