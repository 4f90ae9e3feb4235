from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.errors import InputError, IntensityError, ShapeError
from diffdenoise.scan.find import find_scans, read_scans
from diffdenoise.scan.read import read_scan

from .files import values


@pytest.fixture
def folder(tmp_path):
    """A folder with images on two levels and things that are none."""
    for name in [
        "slice_10.npy",
        "slice_2.npy",
        "Slice_1.npy",
        "inner/slice_3.npy",
        ".hidden.npy",
        ".git/x.npy",
    ]:
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, values((9, 11), np.int16))
    (tmp_path / "scans" / "README.txt").write_text("none")
    return tmp_path / "scans"


def test_a_folder_is_searched_in_natural_order(folder):
    names = [found.name for found in find_scans([folder]).scans]
    assert names == ["inner/slice_3.npy", "Slice_1.npy", "slice_2.npy", "slice_10.npy"]


def test_scans_of_a_folder_are_named_relative_to_it(folder):
    assert next(scan.name for scan in read_scans([folder])) == "inner/slice_3.npy"
    assert read_scans([folder / "slice_2.npy"])[0].name == "slice_2.npy"


def test_a_glob_leaves_out_what_is_no_image(folder):
    assert [found.name for found in find_scans([str(folder / "*")]).scans] == [
        "Slice_1.npy",
        "slice_2.npy",
        "slice_10.npy",
    ]
    assert len(find_scans([str(folder / "**" / "*.npy")]).scans) == 4


def test_a_file_with_glob_characters_in_its_name_is_a_file(tmp_path):
    np.save(tmp_path / "a[1].npy", values((9, 11), np.int16))
    (found,) = find_scans([str(tmp_path / "a[1].npy")]).scans
    assert found.paths == (tmp_path / "a[1].npy",)


def test_a_file_given_twice_is_taken_once(folder):
    (folder / "inner" / "link.npy").symlink_to(folder / "slice_2.npy")
    assert len(find_scans([folder / "slice_2.npy", folder, str(folder / "s*.npy")]).scans) == 4


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none.nii", "not found"),
        ("none*.nii", "matches nothing"),
        ("README*", "matches 1 names but no image"),
    ],
)
def test_what_is_not_there_is_said(name, reason, folder):
    with pytest.raises(InputError, match=reason):
        read_scans([folder / name])


def test_no_input_is_said():
    with pytest.raises(InputError, match="no input given"):
        find_scans([])


def test_a_folder_without_images_says_what_is_read(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(
        InputError, match=r"holds no image; expected DICOM, or files ending in \.nii, \.nii\.gz, \.png"
    ):
        find_scans([tmp_path])


def test_a_name_too_long_is_said():
    with pytest.raises(InputError, match="too long a name"):
        read_scans(["x" * 300 + ".nii"])


def test_read_scan_leaves_the_judgement_to_read_scans(tmp_path):
    np.save(tmp_path / "mask.npy", np.eye(9, dtype=np.uint8))
    assert read_scan(tmp_path / "mask.npy", "my mask").name == "my mask"
    with pytest.raises(IntensityError, match=r"mask\.npy: has two values"):
        read_scans([tmp_path])


def test_mixed_shapes_are_read(tmp_path):
    np.save(tmp_path / "a.npy", values((9, 11), np.int16))
    np.save(tmp_path / "b.npy", values((12, 11, 3), np.int16))
    assert [scan.data.shape for scan in read_scans([tmp_path])] == [(9, 11), (12, 11, 3)]


def test_a_bad_scan_among_good_ones_is_named(folder):
    np.save(folder / "inner" / "bad.npy", np.zeros((2, 2)))
    with pytest.raises(ShapeError, match=r"inner/bad\.npy"):
        read_scans([folder])
