from __future__ import annotations

import errno
import shutil

import pytest

from diffdenoise.errors import InputError, OutputError
from diffdenoise.scan.atomic import atomic_path


def _names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def _fail(target, error):
    """Write half of the file, then fail."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        raise error


def test_the_file_appears_whole(tmp_path):
    target = tmp_path / "new" / "deep" / "a.nii.gz"
    with atomic_path(target, ".nii.gz") as temporary:
        assert temporary.parent == target.parent
        assert temporary.name.startswith(".")
        assert temporary.name.endswith(".nii.gz")
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert _names(tmp_path) == ["new", "new/deep", "new/deep/a.nii.gz"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_a_failure_leaves_the_old_file(error, tmp_path):
    target = tmp_path / "a.npy"
    target.write_bytes(b"old")
    with pytest.raises(error):
        _fail(target, error)
    assert target.read_bytes() == b"old"
    assert _names(tmp_path) == ["a.npy"]


def test_a_failure_leaves_no_new_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        _fail(tmp_path / "new" / "deep" / "a.npy", KeyboardInterrupt)
    assert _names(tmp_path) == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EACCES, "Permission denied"), r"cannot be written \(Permission denied\)"),
        (OSError("100 requested and 5 written"), "the disk may be full"),  # as NumPy says it
    ],
)
def test_what_the_system_refuses_is_said_in_one_line(error, reason, tmp_path):
    with pytest.raises(OutputError, match=reason) as caught:
        _fail(tmp_path / "a.npy", error)
    assert "\n" not in str(caught.value)
    assert _names(tmp_path) == []


def _copy(source, target):
    """Write a copy of a file."""
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)


def _refuse(target, named):
    """Fail at what lies at a place seen from the temporary name."""
    with atomic_path(target) as temporary:
        raise OSError(errno.EIO, "Input/output error", str(temporary / named))


def test_a_file_that_cannot_be_read_meanwhile_is_named(tmp_path):
    with pytest.raises(InputError, match=r"source\.npy: cannot be read \(No such file"):
        _copy(tmp_path / "there" / "source.npy", tmp_path / "new" / "a.npy")
    assert _names(tmp_path) == []


@pytest.mark.parametrize("named", ["", "0/0", "..", "../a.npy"])
def test_what_is_written_or_lies_above_is_not_taken_for_an_input(tmp_path, named):
    with pytest.raises(OutputError, match="cannot be written"):
        _refuse(tmp_path / "a.npy", named)


def test_a_writer_that_writes_nothing_is_noticed(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"), atomic_path(tmp_path / "a.npy"):
        pass
    assert _names(tmp_path) == []
