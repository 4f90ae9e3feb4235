from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from diffdenoise.errors import FormatError, InputError, IntensityError
from diffdenoise.scan.find import find_scans
from diffdenoise.scan.read import from_array, read_scan

from .files import make, values


@pytest.mark.parametrize("name", ["a.dcm", "a.nii", "a"])
def test_dicom_is_recognised_by_its_content(name, tmp_path):
    (tmp_path / name).write_bytes(bytes(128) + b"DICM" + bytes(500))
    with pytest.raises(FormatError, match="is DICOM, but not an image to denoise"):
        read_scan(tmp_path / name)


def test_a_misnamed_file_is_told_what_it_is(tmp_path):
    path = make("png-8", tmp_path).rename(tmp_path / "a.nii.gz")
    with pytest.raises(FormatError, match="holds PNG data; expected NIfTI from its suffix; rename it"):
        read_scan(path)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read_scan(tmp_path)


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "a.nii")
    with pytest.raises(InputError, match="not a regular file"):
        read_scan(tmp_path / "a.nii")


def test_an_unreadable_file_is_said(tmp_path, monkeypatch):
    path = make("nifti1-int16", tmp_path)

    # Not by permission bits, which do not hold for root.
    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)") as caught:
        read_scan(path)
    assert not isinstance(caught.value, FormatError)


def test_an_array_is_a_scan():
    data = values((9, 11), ">i2")
    scan = from_array(data)
    assert scan.format == "array"
    assert scan.stored_dtype == data.dtype
    assert scan.data.dtype.isnative
    assert np.array_equal(scan.data, data)
    with pytest.raises(IntensityError, match="masked"):
        from_array(np.ma.masked_less(data, 0))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a" * 300 + ".nii", "too long a name"),
        ("a/" * 3000 + "x.nii", "too long a name"),
        ("*" * 300 + ".nii", "too long a name"),
        ("a\0b.nii", "can be no file's name"),
        ("a\0*.nii", "can be no file's name"),
        ("", "can be no file's name"),
        ("/dev/zero", "not a regular file"),
    ],
)
def test_names_that_can_be_no_files_are_refused(name, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=reason) as caught:
        find_scans([name]).scans[0].read()
    assert len(str(caught.value)) < 300
    with pytest.raises(InputError):
        read_scan(name)


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "a.nii").symlink_to(tmp_path / "a.nii")
    with pytest.raises(InputError, match=r"not found|leads to itself"):
        read_scan(tmp_path / "a.nii")
