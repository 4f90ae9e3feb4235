from __future__ import annotations

import errno
from dataclasses import replace

import numpy as np
import pytest

from diffdenoise.errors import OutputError
from diffdenoise.scan import registry
from diffdenoise.scan.formats import nifti
from diffdenoise.scan.read import from_array, read_scan
from diffdenoise.scan.write import check_output, write_scan

from .files import make, values


@pytest.fixture
def scan(tmp_path):
    (tmp_path / "in").mkdir()
    return read_scan(make("nifti1-gz-uint8", tmp_path / "in"))


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize("name", ["a.nii", "a.NII.gz", "new/folder/a.nii.gz", "x" * 240 + ".nii.gz"])
def test_outputs_that_are_possible_pass_and_leave_nothing(name, out):
    check_output(out / name, "nifti", False)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "fmt", "reason"),
    [
        ("a.png", "nifti", r"wrong suffix for a NIfTI image; expected \.nii or \.nii\.gz"),
        ("a.xyz", "nifti", r"wrong suffix for a NIfTI image"),
        ("a", "png", r"wrong suffix for a PNG image; expected \.png"),
        ("a.dcm", "numpy", r"wrong suffix for a NumPy image; expected \.npy or \.npz"),
        ("a.xyz", "array", r"expected one of \.nii"),
    ],
)
def test_a_suffix_of_another_format_is_refused(name, fmt, reason, out):
    with pytest.raises(OutputError, match=reason):
        check_output(out / name, fmt, True)


@pytest.mark.parametrize("name", ["a.nii", "a.png", "a.tif", "a.npy", "a.npz"])
def test_an_array_may_become_any_format(name, out):
    data = values((9, 11), np.uint8)
    write_scan(from_array(data), out / name)
    assert np.array_equal(read_scan(out / name).data, data)


def test_an_output_that_exists_is_kept(scan, out):
    path = out / "a.nii.gz"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists already; choose another name or use overwrite=True"):
        write_scan(scan, path)
    assert path.read_bytes() == b"old"
    write_scan(scan, path, overwrite=True)
    assert np.array_equal(read_scan(path).data, scan.data)


def test_a_dangling_link_exists(out):
    (out / "a.nii").symlink_to(out / "none.nii")
    with pytest.raises(OutputError, match="exists already"):
        check_output(out / "a.nii", "nifti", False)


@pytest.mark.parametrize("how", ["itself", "relative", "symlink", "hard link"])
def test_the_input_is_never_replaced(how, tmp_path, monkeypatch):
    source = make("nifti1-int16", tmp_path)
    target = {"itself": source, "relative": tmp_path / "x" / ".." / source.name}.get(how, tmp_path / "b.nii")
    (tmp_path / "x").mkdir()
    if how == "symlink":
        target.symlink_to(source)
    if how == "hard link":
        target.hardlink_to(source)
    with pytest.raises(OutputError, match="is the input itself"):
        check_output(target, "nifti", True, inputs=[tmp_path / "other.nii", source])


def test_a_folder_is_no_output(out):
    (out / "a.nii").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        check_output(out / "a.nii", "nifti", True)


def test_a_file_is_no_folder(out):
    (out / "file").touch()
    with pytest.raises(OutputError, match="is not a folder"):
        check_output(out / "file" / "a.nii", "nifti", False)


def test_a_folder_that_cannot_be_written_is_noticed_early(out, monkeypatch):
    # Not by permission bits, which do not hold for root.
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(OutputError, match=r"cannot be written to .*\(Permission denied\)"):
        check_output(out / "a.nii", "nifti", False)


def test_a_name_too_long_is_said(out):
    with pytest.raises(OutputError, match="its name is too long for this disk: 304 bytes"):
        check_output(out / ("x" * 300 + ".nii"), "nifti", False)


def test_float_for_png_is_refused_early(out):
    with pytest.raises(OutputError, match="PNG holds integers only"):
        check_output(out / "a.png", "png", False, float32=True)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file(error, scan, out, monkeypatch):
    path = out / "a.nii.gz"
    write_scan(scan, path)
    before = path.read_bytes()

    def write_half(out, path):
        path.write_bytes(b"half")
        raise error

    broken = replace(nifti.FORMAT, writer=write_half)
    monkeypatch.setattr(registry, "FORMATS", (broken,))
    with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt):
        write_scan(scan, path, overwrite=True)
    assert path.read_bytes() == before
    assert list(out.iterdir()) == [path]


@pytest.mark.parametrize(("bad", "float32"), [(np.inf, True), (np.nan, False)])
def test_a_result_that_its_file_cannot_hold_is_not_written(scan, out, bad, float32):
    with pytest.raises(OutputError, match="infinity"):
        write_scan(scan.with_data(np.full(scan.data.shape, bad)), out / "a.nii", float32=float32)
    assert list(out.iterdir()) == []
