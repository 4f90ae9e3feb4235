"""Phase among NIfTI files: by name, by entity, by sidecar."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from diffdenoise.errors import FormatError
from diffdenoise.scan.bids import images_of, passed_over
from diffdenoise.scan.find import find_scans

CASE = Path(__file__).parents[1] / "cases" / "bids-part-phase"


def image(path: Path, fields: dict[str, object] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.arange(1000, dtype=np.int16).reshape(10, 10, 10), np.eye(4)), path)
    if fields is not None:
        path.with_name(path.name.split(".")[0] + ".json").write_text(json.dumps(fields))
    return path


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("gre_e1_ph.nii.gz", None, "phase image"),
        ("gre_e1_pha.nii", {"EchoTime": 1}, "phase image"),
        ("a_phase.nii", None, "phase image"),
        ("a_real.nii", None, "real part"),
        ("a_imaginary.nii.gz", None, "imaginary part"),
        ("sub-1_part-imag_bold.nii.gz", None, "imaginary part"),
        ("a.nii.gz", {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}, "phase image"),
        ("a.nii.gz", {"ImageType": ["ORIGINAL", "PRIMARY", "PHASE"]}, "phase image"),
        ("a.nii.gz", {"ComplexImageComponent": "PHASE"}, "phase image"),
    ],
)
def test_phase_is_passed_over_and_refused_by_itself(
    name: str, fields: dict[str, object] | None, reason: str, tmp_path: Path
) -> None:
    path = image(tmp_path / name, fields)
    image(tmp_path / "good.nii.gz")
    found = find_scans([tmp_path])
    assert [one.name for one in found.scans] == ["good.nii.gz"]
    assert found.skipped == find_scans([str(tmp_path / "*.nii*")]).skipped == {reason: 1}
    with pytest.raises(FormatError, match=reason):
        find_scans([path])


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("a.nii.gz", {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"]}),
        ("a_ph.nii.gz", {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"]}),
        ("sub-1_part-mag_dwi.nii.gz", None),
        ("phase.nii.gz", None),
        ("a.nii.gz", {"Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "P"]}),
        ("a.nii.gz", {"ImageType": 3}),
    ],
)
def test_images_are_not_passed_over(name: str, fields: dict[str, object] | None, tmp_path: Path) -> None:
    path = image(tmp_path / name, fields)
    assert len(find_scans([path]).scans) == 1
    assert find_scans([tmp_path]).skipped == {}


def test_a_bids_data_set_leaves_out_phase_and_maps(tmp_path: Path) -> None:
    assert [path.name for path in images_of(CASE)] == ["sub-1_part-mag_dwi.nii.gz"]
    assert passed_over(CASE) == {"phase image": 1}
    for name in ("T1w", "T1map", "run-1_bold", "run-2_phase"):
        image(tmp_path / "sub-1" / ("func" if "run" in name else "anat") / f"sub-1_{name}.nii.gz")
    # Inherited from the root.
    (tmp_path / "run-1_bold.json").write_text('{"ImageType": ["ORIGINAL", "PRIMARY", "P"]}')
    assert [path.name for path in images_of(tmp_path)] == ["sub-1_T1w.nii.gz"]
    assert passed_over(tmp_path) == {"computed map": 1, "phase image": 2}
