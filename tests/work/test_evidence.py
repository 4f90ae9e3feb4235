"""A report from Python: of a result, of a region, of what was left as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import diffdenoise as dd
from diffdenoise.errors import InputError, OutputError, ShapeError
from diffdenoise.noise.statement import diagnose
from diffdenoise.scan.read import from_array
from diffdenoise.scan.voxels import as_voxels
from diffdenoise.work.evidence import Inquiry, check_report, digest_of, examine_result
from tests.end_to_end.phantom import clean_phantom, noisy_phantom


def inquiry(denoised: NDArray[np.generic] | None = None) -> Inquiry:
    noisy = from_array(noisy_phantom("white"))
    after = from_array(clean_phantom() if denoised is None else denoised)
    return Inquiry(noisy, after, diagnose(noisy))


def test_a_result_is_examined_by_its_own_denoiser(tmp_path: Path) -> None:
    result = dd.denoise(noisy_phantom("white"), threads=1, return_result=True)
    roi = np.zeros(result.data.shape, np.uint8)
    roi[20:26, 20:26, 2] = 1
    report = result.examine(roi=roi)
    tree, few = report.as_dict(), {"insertion", "resolution"}
    assert report.verdict == tree["verdict"]
    assert all(one["missing"] is None for key, one in tree["sections"].items() if key not in few)
    beside = report.write(tmp_path / "r.html")
    assert json.loads(beside.read_text())["figures"] == tree["figures"]
    assert report.uncertainty.shape == result.data.shape
    with pytest.raises(ShapeError, match="3x3, expected the scan's 64x64x6"):
        result.examine(roi=np.ones((3, 3)))


def test_a_shape_that_differs_is_refused() -> None:
    with pytest.raises(ShapeError, match="found shape 64x64x5, expected the noisy scan's 64x64x6"):
        examine_result(inquiry(clean_phantom()[:, :, :5]))


def test_without_a_denoiser_there_is_no_map() -> None:
    report = examine_result(inquiry())
    with pytest.raises(InputError, match="can't be told: not measured: who denoised it"):
        _ = report.uncertainty


def test_the_error_of_what_was_left_is_the_noise() -> None:
    report = examine_result(inquiry(noisy_phantom("white")))
    assert report.examined.is_unchanged
    # The phantom's noise.
    np.testing.assert_allclose(report.uncertainty.whole(), 90, rtol=0.1)


def test_a_page_and_its_figures_are_written_both_or_neither(tmp_path: Path) -> None:
    report = examine_result(inquiry())
    (tmp_path / "r.json").write_text("mine")
    with pytest.raises(OutputError, match=r"r\.json: exists, and the report's figures go there"):
        report.write(tmp_path / "r.html")
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
    assert report.write(tmp_path / "r.html", overwrite=True) == tmp_path / "r.json"
    assert check_report(tmp_path / "other.html") == tmp_path / "other.json"


def test_where_it_came_from_is_told_without_paths() -> None:
    scan = from_array(noisy_phantom("white"), name="/home/jane doe/scan.nii.gz")
    report = examine_result(Inquiry(scan, from_array(clean_phantom()), diagnose(scan)))
    told = report.provenance
    assert told["noisy scan"] == "scan.nii.gz, 64 x 64 x 6"
    assert told["denoised by"] == "another program, or an unknown model"
    assert "jane" not in json.dumps(report.as_dict())


@pytest.mark.parametrize("make", [np.array, np.asfortranarray], ids=["C", "Fortran"])
def test_a_digest_is_of_values_whatever_holds_them(make: Callable[..., NDArray[np.generic]]) -> None:
    values = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    known = digest_of(as_voxels(values), 2)
    assert digest_of(as_voxels(make(values.astype(">f4"))), 2) == known
    assert len(known) == 16
    values[3, 2, 1] += 1
    assert digest_of(as_voxels(values), 2) != known
