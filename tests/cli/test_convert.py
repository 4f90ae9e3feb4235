"""`diffdenoise convert`: the same voxels at the same places, and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from diffdenoise.scan.read import read_scan
from tests.scan.dicom.files import CT, DX, dataset, enhanced, pixels, read, save, slices

from .conftest import Outcome, files_below

Run = Callable[..., Outcome]


def test_a_series_becomes_nifti_with_its_geometry(run: Run, tmp_path: Path) -> None:
    slices(tmp_path / "in", sop_class=CT, modality="CT", RescaleSlope=1, RescaleIntercept=-1024)
    outcome = run("convert", tmp_path / "in", "-o", tmp_path / "out.nii.gz")
    assert outcome.code == 0, outcome.err
    image, scan = nibabel.load(tmp_path / "out.nii.gz"), read_scan(tmp_path / "in")
    assert image.get_data_dtype() == np.int16
    assert np.array_equal(np.asanyarray(image.dataobj), scan.data)
    assert np.allclose(image.affine, scan.affine, atol=1e-5)
    assert image.header.get_zooms() == pytest.approx((0.5, 0.75, 3.0))


def test_several_series_become_files_of_a_folder(run: Run, tmp_path: Path) -> None:
    slices(tmp_path / "in" / "a", series="1.2.3")
    slices(tmp_path / "in" / "b", series="1.2.4")
    slices(tmp_path / "in" / "c", series="1.2.5", SeriesNumber=2)
    outcome = run("convert", tmp_path / "in", "-o", tmp_path / "out", "--json")
    assert outcome.code == 0, outcome.err
    names = ["series-2.nii.gz", "series-7-2.nii.gz", "series-7.nii.gz"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    one = run("convert", tmp_path / "in", "-o", tmp_path / "one.nii", "--series", "1.2.4")
    assert one.code == 0, one.err


def test_a_slash_makes_a_folder_of_the_output_of_one_series_too(run: Run, tmp_path: Path) -> None:
    slices(tmp_path / "in", series="1.2.3")
    outcome = run("convert", tmp_path / "in", "-o", f"{tmp_path / 'out'}/")
    assert outcome.code == 0, outcome.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["series-7.nii.gz"]


@pytest.mark.parametrize("codes", ["LPS", "RAS", "SAL", "IRP"])
@pytest.mark.parametrize("kind", ["slices", "enhanced"])
def test_nifti_goes_back_into_its_series_however_it_was_turned(
    codes: str, kind: str, run: Run, tmp_path: Path
) -> None:
    if kind == "slices":
        slices(tmp_path / "in", RescaleSlope=2, RescaleIntercept=-10)
    else:
        enhanced(tmp_path / "in")
    assert run("convert", tmp_path / "in", "-o", tmp_path / "a.nii").code == 0
    image = nibabel.load(tmp_path / "a.nii")
    turn = ornt_transform(io_orientation(image.affine), axcodes2ornt(codes))
    values = apply_orientation(image.get_fdata(), turn)
    affine = image.affine @ inv_ornt_aff(turn, image.shape)
    nibabel.save(nibabel.Nifti1Image(values + 4, affine), tmp_path / "turned.nii")
    target = tmp_path / "out" if kind == "slices" else tmp_path / "out.dcm"
    outcome = run("convert", tmp_path / "turned.nii", "--like", tmp_path / "in", "-o", target)
    assert outcome.code == 0, outcome.err
    for path in (tmp_path / "in").iterdir():
        before, after = read(path), read(target / path.name if kind == "slices" else target)
        assert np.array_equal(after.pixel_array, before.pixel_array + 2)
        assert after.PatientName == before.PatientName
        assert after.DerivationDescription.startswith("Conversion from NIfTI")
        assert after.SeriesDescription.endswith(" derived")


def test_a_single_image_goes_there_and_back(run: Run, tmp_path: Path) -> None:
    values = pixels(1)[0]
    save(dataset(values, sop_class=DX, modality="DX"), tmp_path / "in.dcm")
    assert run("convert", tmp_path / "in.dcm", "-o", tmp_path / "a.nii").code == 0
    assert nibabel.load(tmp_path / "a.nii").shape == (10, 12)
    outcome = run("convert", tmp_path / "a.nii", "--like", tmp_path / "in.dcm", "-o", tmp_path / "out.dcm")
    assert outcome.code == 0, outcome.err
    assert np.array_equal(read(tmp_path / "out.dcm").pixel_array, values)


def test_what_does_not_fit_is_refused(run: Run, tmp_path: Path) -> None:
    slices(tmp_path / "in")
    assert run("convert", tmp_path / "in", "-o", tmp_path / "a.nii").code == 0
    image = nibabel.load(tmp_path / "a.nii")
    shifted = image.affine.copy()
    shifted[0, 3] += 0.3
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(), shifted), tmp_path / "shifted.nii")
    nibabel.save(nibabel.Nifti1Image(image.get_fdata()[:-1], image.affine), tmp_path / "smaller.nii")
    (tmp_path / "in" / "IM0000").rename(tmp_path / "gone")
    missing = next(path for path in (tmp_path / "in").iterdir() if read(path).ImagePositionPatient[2] > 6)
    before = files_below(tmp_path)
    for words, reason in [
        (["convert", tmp_path / "a.nii", "-o", tmp_path / "b.nii"], "holds no DICOM"),
        (["convert", missing, "-o", tmp_path / "b.png"], "is no NIfTI file name"),
        (["convert", missing, "-o", tmp_path / "a.nii"], "exists already"),
        (["convert", missing, "--like", tmp_path / "in", "-o", tmp_path / "out"], "is DICOM already"),
    ]:
        outcome = run(*words)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert reason in outcome.err
    (tmp_path / "gone").rename(tmp_path / "in" / "IM0000")
    before = files_below(tmp_path)
    for name in ("shifted", "smaller"):
        outcome = run("convert", tmp_path / f"{name}.nii", "--like", tmp_path / "in", "-o", tmp_path / "out")
        assert outcome.code == 2
        assert "don't lie where those of" in outcome.err
    assert files_below(tmp_path) == before


def test_slices_without_an_even_grid_stay_dicom(run: Run, tmp_path: Path) -> None:
    slices(tmp_path / "in")
    inner = next(path for path in (tmp_path / "in").iterdir() if 8 < read(path).ImagePositionPatient[2] < 10)
    inner.unlink()
    outcome = run("convert", tmp_path / "in", "-o", tmp_path / "a.nii")
    assert outcome.code == 2
    assert "NIfTI holds evenly spaced slices only" in outcome.err
