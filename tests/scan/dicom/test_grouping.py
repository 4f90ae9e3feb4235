"""Which files and frames make a volume: by tolerance, by StackID and by where they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from diffdenoise.scan.convert_files import to_files, to_series
from diffdenoise.scan.dicom.derive import Derivation
from diffdenoise.scan.dicom.read import read_series
from diffdenoise.scan.dicom.series import find_series
from diffdenoise.scan.dicom.write import targets_of
from diffdenoise.scan.find import find_scans
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.write import write_scan

from .files import ENHANCED_MR, NORMAL, ORIENTATION, dataset, pixels, read, save

CASES = Path(__file__).parents[2] / "cases"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def classic(folder: Path, places: Any, orientations: Any = AXIAL, **elements: Any) -> np.ndarray:
    """A file for each place; its values (places, rows, columns)."""
    places = np.asarray(places, float)
    values = pixels(len(places))
    orientations = np.broadcast_to(orientations, (len(places), 6))
    for k, (place, orientation) in enumerate(zip(places, orientations, strict=True)):
        own = {keyword: value[k] if isinstance(value, list) else value for keyword, value in elements.items()}
        made = dataset(
            values[k],
            ImagePositionPatient=[f"{each:.10g}" for each in place],
            ImageOrientationPatient=[f"{each:.10f}" for each in orientation],
            **{"InstanceNumber": k + 1, **own},
        )
        save(made, folder / f"{k:03}")
    return values


def frames_file(
    path: Path,
    places: Any,
    *,
    orientations: Any = AXIAL,
    stacks: Any = (),
    time: int | None = None,
    seed: int = 3,
) -> np.ndarray:
    """An enhanced MR file with a frame for each place; its values."""
    places = np.asarray(places, float)
    values = pixels(len(places), seed=seed)
    made = dataset(
        values, sop_class=ENHANCED_MR, NumberOfFrames=len(places), PixelSpacing=None, SliceThickness=None
    )
    made.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    shared, measures = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.75, 0.5], 3.0
    shared.PixelMeasuresSequence = [measures]
    made.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for k, (place, orientation) in enumerate(
        zip(places, np.broadcast_to(orientations, (len(places), 6)), strict=True)
    ):
        frame, where, turned, content = Dataset(), Dataset(), Dataset(), Dataset()
        where.ImagePositionPatient = [f"{each:.10g}" for each in place]
        turned.ImageOrientationPatient = [f"{each:.10f}" for each in orientation]
        content.FrameAcquisitionNumber = 1
        if len(stacks):
            content.StackID, content.InStackPositionNumber = stacks[k], k + 1
        if time is not None:
            content.TemporalPositionIndex = time
        frame.PlanePositionSequence, frame.PlaneOrientationSequence = [where], [turned]
        frame.FrameContentSequence = [content]
        groups.append(frame)
    made.PerFrameFunctionalGroupsSequence = groups
    save(made, path)
    return values


def stack(count: int, step: Any = (0, 0, 3), start: Any = (0, 0, 0)) -> np.ndarray:
    """Places of slices, (count, 3)."""
    return np.asarray(start, float) + np.arange(count)[:, None] * np.asarray(step, float)


def volumes(place: Path) -> list[Any]:
    return [one.read() for one in find_scans([place]).scans]


def test_orientations_that_agree_to_seven_decimals_are_one() -> None:
    (scan,) = volumes(CASES / "dicom-orientation-decimals" / "series")
    assert scan.data.shape == (48, 48, 10)
    assert scan.spacing_mm == pytest.approx((1, 1, 3), abs=1e-6)
    assert scan.affine[:3, 2] == pytest.approx([0, 0, 3], abs=1e-6)


@pytest.mark.parametrize("difference", [4e-8, 1e-5, 1e-4])
# Of them all, one lies at each border that rounding to some number of digits has.
@pytest.mark.parametrize("angle", [0.0475, 0.04995, 0.0005, 0.00005, 0.3])
def test_orientation_and_spacing_are_compared_with_a_tolerance(
    angle: float, difference: float, tmp_path: Path
) -> None:
    angles = angle + difference * np.array([0, 1, -1, 0, 1, -1])
    turned = np.stack(
        [np.cos(angles), np.sin(angles), 0 * angles, -np.sin(angles), np.cos(angles), 0 * angles], axis=1
    )
    spacings = [[0.7 * (1 + difference * (-1) ** k), 0.5 + difference * (-1) ** k] for k in range(6)]
    values = classic(tmp_path, stack(6), turned, PixelSpacing=spacings)
    (scan,) = volumes(tmp_path)
    assert np.array_equal(scan.data, values.transpose(2, 1, 0))
    assert scan.affine is not None
    assert scan.spacing_mm[2] == pytest.approx(3)


def test_other_orientations_and_spacings_are_other_series(tmp_path: Path) -> None:
    angles = np.array([0.0] * 3 + [0.02] * 3)
    turned = np.stack(
        [np.cos(angles), np.sin(angles), 0 * angles, -np.sin(angles), np.cos(angles), 0 * angles], axis=1
    )
    classic(tmp_path / "a", stack(6), turned)
    assert [scan.data.shape[2] for scan in volumes(tmp_path / "a")] == [3, 3]
    classic(tmp_path / "b", stack(6), PixelSpacing=[[0.5, 0.5], [0.52, 0.52]] * 3)
    assert [scan.data.shape[2] for scan in volumes(tmp_path / "b")] == [3, 3]


def test_two_parallel_stacks_in_one_file_are_two_volumes() -> None:
    path = CASES / "dicom-two-geometries" / "two-stacks-parallel.dcm"
    stored = read(path).pixel_array
    first, second = volumes(path)
    assert np.array_equal(first.data, stored[:6].transpose(2, 1, 0))
    assert np.array_equal(second.data, stored[6:].transpose(2, 1, 0))
    assert first.spacing_mm == second.spacing_mm == pytest.approx((2, 2, 3))
    assert first.affine[:3, 3].tolist() == [32, 32, 0]
    assert second.affine[:3, 3].tolist() == [-20, 40, 1.5]
    assert first.name == "two-stacks-parallel.dcm, volume 1 of 2"


def test_stacks_of_two_orientations_in_one_file_are_two_volumes() -> None:
    path = CASES / "dicom-two-geometries" / "cospine.dcm"
    stored = read(path).pixel_array
    first, second = volumes(path)
    assert np.array_equal(first.data, stored[:6].transpose(2, 1, 0))
    # Its frames run against the normal.
    assert np.array_equal(second.data, stored[:5:-1].transpose(2, 1, 0))


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("shift", "step"),
    [
        # Between each other's slices; beside each other; behind, aside; both tilted.
        ((52, -8, 1.5), (0, 0, 3)),
        ((60, 0, 0), (0, 0, 3)),
        ((25, 0, 30), (0, 0, 3)),
        ((40, 0, 1), (0, 0.8, 3)),
    ],
)
@pytest.mark.parametrize("enhanced", [True, False])
def test_stacks_shifted_in_the_plane_are_volumes_of_their_own(
    enhanced: bool, shift: Any, step: Any, named: bool, tmp_path: Path
) -> None:
    places = np.concatenate([stack(5, step), stack(4, step, shift)])
    if enhanced:
        values = frames_file(tmp_path / "a", places, stacks=["1"] * 5 + ["2"] * 4 if named else ())
    else:
        values = classic(tmp_path, places)
    first, second = volumes(tmp_path)
    assert np.array_equal(first.data, values[:5].transpose(2, 1, 0))
    assert np.array_equal(second.data, values[5:].transpose(2, 1, 0))
    for scan in (first, second):
        assert scan.affine[:3, 2] == pytest.approx([-step[0], -step[1], step[2]])
        assert scan.spacing_mm[2] == pytest.approx(3)


def test_stacks_behind_each_other_are_told_apart_by_their_names_alone(tmp_path: Path) -> None:
    places = np.concatenate([stack(4), stack(4, start=(0, 0, 12))])
    values = frames_file(tmp_path / "a", places, stacks=list("11112222"))
    assert [scan.data.shape for scan in volumes(tmp_path)] == [(10, 12, 4)] * 2
    frames_file(tmp_path / "a", places)
    (scan,) = volumes(tmp_path)
    assert np.array_equal(scan.data, values.transpose(2, 1, 0))
    # A name for each slice, or for each echo, tells nothing of stacks.
    frames_file(tmp_path / "a", places, stacks=list("12345678"))
    assert [scan.data.shape for scan in volumes(tmp_path)] == [(10, 12, 8)]
    frames_file(tmp_path / "a", np.concatenate([stack(4)] * 2), stacks=list("11112222"))
    assert [scan.data.shape for scan in volumes(tmp_path)] == [(10, 12, 4, 2)]


def test_a_fan_of_slices_is_read_one_by_one(tmp_path: Path) -> None:
    angles = np.linspace(0, np.pi, 6, endpoint=False)
    turned = np.stack([np.cos(angles), np.sin(angles), *[0 * angles] * 3, 0 * angles - 1], axis=1)
    values = frames_file(tmp_path / "a", stack(6, (0, 0, 0)), orientations=turned)
    (scan,) = volumes(tmp_path)
    assert scan.data.shape == (10, 12, 1, 6)
    assert np.array_equal(scan.data[:, :, 0], values.transpose(2, 1, 0))
    assert "several orientations or stacks: read one by one" in scan.header.layout.notices[0]


def test_a_part_of_a_file_is_written_as_a_file_of_its_own(tmp_path: Path) -> None:
    places = np.concatenate([stack(5), stack(4, start=(52, 0, 1.5))])
    values = frames_file(tmp_path / "in" / "a.dcm", places, stacks=list("111112222"))
    source = read(tmp_path / "in" / "a.dcm")
    how = Derivation()
    for scan in volumes(tmp_path / "in"):
        (target,) = targets_of(scan.header, tmp_path / "out", as_file=False).values()
        write_scan(scan.with_data(scan.data + 1), target, derivation=how)
    written = [read(path) for path in sorted((tmp_path / "out").iterdir())]
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == [
        "a-volume-1.dcm",
        "a-volume-2.dcm",
    ]
    for one, frames in zip(written, (range(5), range(5, 9)), strict=True):
        assert np.array_equal(one.pixel_array, values[list(frames)] + 1)
        assert one.NumberOfFrames == len(frames)
        kept = [source.PerFrameFunctionalGroupsSequence[k] for k in frames]
        assert list(one.PerFrameFunctionalGroupsSequence) == kept
        (reference,) = one.SourceImageSequence
        assert reference.ReferencedFrameNumber == [k + 1 for k in frames]
    assert len({one.SeriesInstanceUID for one in written}) == 1
    assert len({one.SOPInstanceUID for one in written}) == 2
    assert len({one.InstanceNumber for one in written}) == 2
    again = volumes(tmp_path / "out")
    assert [scan.data.shape[2] for scan in again] == [5, 4]


def test_volumes_of_one_file_go_to_nifti_and_back(tmp_path: Path) -> None:
    path = CASES / "dicom-two-geometries" / "two-stacks-parallel.dcm"
    first, second = to_files(path, tmp_path / "nii", None, False)
    assert read_scan(first).affine[:3, 2].tolist() == [0, 0, 3]
    written = to_series(second, path, tmp_path / "back.dcm", None, Derivation(action="x"), False)
    assert np.array_equal(read(written).pixel_array, read(path).pixel_array[6:])


@pytest.mark.parametrize("moved_mm", [0.0, 0.7, 4.0])
def test_enhanced_files_of_one_volume_each_are_a_4d_scan(moved_mm: float, tmp_path: Path) -> None:
    values = [
        frames_file(
            tmp_path / "in" / f"{9 - time}", stack(4, start=(moved_mm * time,) * 3), time=time, seed=time
        )
        for time in range(3)
    ]
    (scan,) = volumes(tmp_path / "in")
    assert np.array_equal(scan.data, np.array(values).transpose(3, 2, 1, 0))
    assert scan.affine[:3, 2].tolist() == [0, 0, 3]
    assert ("volumes lie up to" in "".join(scan.header.layout.notices)) == (moved_mm > 0)
    write_scan(scan.with_data(scan.data + np.arange(3)), tmp_path / "out")
    for time in range(3):
        written = read(tmp_path / "out" / f"{9 - time}")
        assert np.array_equal(written.pixel_array, values[time] + time)
        assert written.NumberOfFrames == 4


def test_the_real_layout_of_a_file_for_each_volume_is_one_4d_scan() -> None:
    (scan,) = volumes(CASES / "dicom-xa-file-per-volume" / "series")
    assert scan.data.shape == (32, 32, 6, 8)
    for time, path in enumerate(sorted((CASES / "dicom-xa-file-per-volume" / "series").iterdir())):
        assert np.array_equal(scan.data[..., time], read(path).pixel_array.transpose(2, 1, 0))


def test_enhanced_files_of_one_slice_each_are_a_volume(tmp_path: Path) -> None:
    values = [frames_file(tmp_path / "in" / f"{9 - k}", stack(5)[k : k + 1], seed=k)[0] for k in range(5)]
    (scan,) = volumes(tmp_path / "in")
    assert np.array_equal(scan.data, np.array(values).transpose(2, 1, 0))
    write_scan(scan.with_data(scan.data + 1), tmp_path / "out")
    for k in range(5):
        assert np.array_equal(read(tmp_path / "out" / f"{9 - k}").pixel_array, values[k] + 1)


def test_slices_that_follow_a_head_stay_a_4d_scan(tmp_path: Path) -> None:
    places = np.concatenate([stack(4, start=(0.9 * time, 0, 0.7 * time)) for time in range(3)])
    values = classic(tmp_path, places, TemporalPositionIdentifier=[k // 4 + 1 for k in range(12)])
    (scan,) = volumes(tmp_path)
    assert np.array_equal(scan.data, values.reshape(3, 4, 12, 10).transpose(3, 2, 1, 0))
    assert "volumes lie up to 2.3 mm apart" in scan.header.layout.notices[0]


@pytest.mark.parametrize("digits", [1, 2, 3])
@pytest.mark.parametrize("step_mm", [0.6, 1.25, 3.3, 3.33])
def test_positions_may_be_rounded(step_mm: float, digits: int, tmp_path: Path) -> None:
    places = stack(12, NORMAL * step_mm, (-20.04, 10.03, 5.02)).round(digits)
    values = classic(tmp_path, places, ORIENTATION)
    (scan,) = volumes(tmp_path)
    assert np.array_equal(scan.data, values.transpose(2, 1, 0))
    assert scan.header.layout.notices == ()
    assert scan.spacing_mm[2] == pytest.approx(step_mm, abs=0.6 * 10.0**-digits / 6)
    ideal = np.array([-1, -1, 1]) * NORMAL * step_mm
    assert scan.affine[:3, 2] == pytest.approx(ideal, abs=10.0**-digits / 6)


@pytest.mark.parametrize("missing", [1, 2, 5, 9, 10])
@pytest.mark.parametrize("step_mm", [1.0, 1.3, 3.3])
@pytest.mark.parametrize("digits", [0, 1, 6])
def test_a_missing_slice_is_not_taken_for_rounding(
    digits: int, step_mm: float, missing: int, tmp_path: Path
) -> None:
    places = np.delete(stack(12, (0, 0, step_mm)).round(digits), missing, axis=0)
    classic(tmp_path, places)
    (scan,) = volumes(tmp_path)
    assert scan.affine is None
    assert "some may be missing" in scan.header.layout.notices[0]


def test_slices_of_a_tilted_gantry_are_measured_along_their_normal(tmp_path: Path) -> None:
    tilt = np.deg2rad(20)
    classic(tmp_path / "a", stack(5, (0, 3 * np.sin(tilt), 3 * np.cos(tilt))))
    (scan,) = volumes(tmp_path / "a")
    assert scan.spacing_mm[2] == pytest.approx(3 * np.cos(tilt), abs=1e-6)
    assert np.linalg.norm(scan.affine[:3, 2]) == pytest.approx(3)
    # With a slice missing it is still one stack.
    places = np.delete(stack(6, (0, 3 * np.sin(tilt), 3 * np.cos(tilt))), 2, axis=0)
    classic(tmp_path / "b", places)
    (scan,) = volumes(tmp_path / "b")
    assert scan.data.shape[2] == 5
    assert "some may be missing" in scan.header.layout.notices[0]


def test_directions_in_the_plane_stay_where_slices_are_missing(tmp_path: Path) -> None:
    places = np.delete(stack(6, NORMAL * 3), 2, axis=0)
    classic(tmp_path / "a", places, ORIENTATION)
    (scan,) = volumes(tmp_path / "a")
    assert scan.affine is None
    assert scan.spacing_mm[2] == pytest.approx(3)
    to_ras = np.array([-1, -1, 1])
    assert scan.in_plane == pytest.approx(
        np.stack([to_ras * ORIENTATION[:3], to_ras * ORIENTATION[3:]], axis=1)
    )
    # A single image's first axis runs down its columns.
    classic(tmp_path / "b", places[:1], ORIENTATION)
    (scan,) = volumes(tmp_path / "b")
    assert scan.in_plane == pytest.approx(
        np.stack([to_ras * ORIENTATION[3:], to_ras * ORIENTATION[:3]], axis=1)
    )


def test_files_of_two_stacks_over_time_are_two_4d_scans(tmp_path: Path) -> None:
    places = np.concatenate([stack(4), stack(4, start=(80, 0, 0))])
    values = [
        frames_file(tmp_path / f"{time}", places, stacks=list("11112222"), time=time, seed=time)
        for time in range(3)
    ]
    study = find_series([tmp_path])
    assert [one.shape for one in study.series] == [(10, 12, 4, 3)] * 2
    second = read_series(study.series[1], "x")
    assert np.array_equal(second.data, np.array(values)[:, 4:].transpose(3, 2, 1, 0))
