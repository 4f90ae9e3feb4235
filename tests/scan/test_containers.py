"""Files that hold more than the image: MATLAB and HDF5."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy import io

from diffdenoise.errors import DiffDenoiseError, FormatError, IntensityError, OutputError
from diffdenoise.scan.read import from_array, read_scan
from diffdenoise.scan.write import write_scan

from .files import make, values


def test_other_variables_are_kept(tmp_path):
    scan = read_scan(make("mat-int16", tmp_path))
    write_scan(scan.with_data(scan.data // 2), tmp_path / "b.mat")
    found = io.loadmat(tmp_path / "b.mat")
    assert np.array_equal(found["volume"], scan.data // 2)
    assert found["te"].item() == 0.03
    assert found["protocol"].item() == "some words"


def test_two_images_in_a_file_are_refused(tmp_path):
    io.savemat(tmp_path / "a.mat", {"a": values((9, 11), np.int16), "b": values((9, 11), np.int16)})
    with pytest.raises(FormatError, match=r"holds 2 arrays that may be images \(a, b\)"):
        read_scan(tmp_path / "a.mat")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = file["b"] = values((9, 11), np.int16)
        file["c"] = values((9, 11), np.int16)
    with pytest.raises(FormatError, match="arrays that may be images"):
        read_scan(tmp_path / "a.h5")


def test_a_table_beside_an_image_is_none(tmp_path):
    io.savemat(tmp_path / "a.mat", {"image": values((9, 11), np.int16), "points": np.ones((200, 3))})
    assert read_scan(tmp_path / "a.mat").shape == (9, 11)


def test_a_message_names_the_first_few_of_many_arrays(tmp_path):
    io.savemat(tmp_path / "a.mat", {f"image{n}": values((9, 11), np.int16) for n in range(8)})
    with pytest.raises(FormatError, match=r"holds 8 arrays .*\(image0, .*, image4, \.\.\.\)"):
        read_scan(tmp_path / "a.mat")


@pytest.mark.parametrize("case", ["hdf5-int16", "hdf5-ismrmrd"])
def test_groups_attributes_and_headers_are_kept_and_k_space_is_not(case, tmp_path):
    h5py = pytest.importorskip("h5py")
    scan = read_scan(make(case, tmp_path))
    write_scan(scan, tmp_path / "b.h5")
    with h5py.File(tmp_path / "a.h5") as before, h5py.File(tmp_path / "b.h5") as after:
        key = scan.header.key
        assert np.array_equal(before[key][()], after[key][()])
        assert before[key].shape == after[key].shape
        assert after[key].compression == "gzip"
        assert dict(after[key].attrs) == {"unit": "a.u."}
        assert after.attrs["acquisition"] == "T1"
        assert after["header"][()] == before["header"][()]
        assert "kspace" not in after
    assert scan.data.shape == ((3, 9, 11) if case == "hdf5-ismrmrd" else (9, 11, 4))


def test_a_data_set_larger_than_its_file_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        # Nothing is stored of it but what it is filled with.
        file.create_dataset("image", shape=(10**5, 10**5), dtype="f8", chunks=True, compression="gzip")
    with pytest.raises(FormatError, match="more than the file's"):
        read_scan(tmp_path / "a.h5")


def test_links_out_of_the_file_are_not_followed(tmp_path):
    h5py = pytest.importorskip("h5py")
    make("hdf5-int16", tmp_path)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["image"] = h5py.ExternalLink(str(tmp_path / "a.h5"), "image")
    with pytest.raises(FormatError, match="holds 0 arrays"):
        read_scan(tmp_path / "b.h5")


def test_damaged_containers_are_refused(tmp_path):
    for case in ("mat-int16", "hdf5-int16"):
        path = make(case, tmp_path)
        whole = path.read_bytes()
        for cut in (0, 5, 150, len(whole) // 2):
            path.write_bytes(whole[:cut])
            with pytest.raises(DiffDenoiseError):
                read_scan(path)


def test_a_file_with_a_damaged_name_is_refused(tmp_path):
    whole = make("mat-int16", tmp_path).read_bytes()
    # Of such files SciPy 1.17 takes some for good, and on others ends its process with a signal.
    start = whole.index(b"volume")
    (tmp_path / "b.mat").write_bytes(whole[: start + 6] + bytes(300) + whole[start + 6 :])
    with pytest.raises(FormatError, match="damaged"):
        read_scan(tmp_path / "b.mat")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems don't limit a process's memory")
def test_a_chunk_that_unpacks_to_anything_is_stopped(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        array = file.create_dataset("image", (64, 64), np.int16, chunks=(64, 64), compression="gzip")
        array.id.write_direct_chunk((0, 0), zlib.compress(bytes(2**29)))
    with pytest.raises(FormatError, match=r"damaged|needs more than"):
        read_scan(tmp_path / "a.h5")


@pytest.mark.parametrize("kind", [dict, object])
def test_cells_and_structures_that_state_too_much_are_refused(kind, tmp_path):
    value = np.empty((1, 3), object) if kind is object else np.zeros((1, 3), [("a", "O")])
    value[:] = 0 if kind is object else (0,)
    io.savemat(tmp_path / "a.mat", {"image": values((9, 11), np.int16), "rest": value})
    whole = (tmp_path / "a.mat").read_bytes()
    shape = np.array([5, 8, 1, 3], "<i4").tobytes()  # miINT32, 8 bytes, and the sizes
    assert whole.count(shape) == 1
    absurd = np.array([5, 8, 50000, 50000], "<i4").tobytes()
    (tmp_path / "a.mat").write_bytes(whole.replace(shape, absurd))
    with pytest.raises(FormatError, match=r"\(rest\): is damaged: its header states"):
        read_scan(tmp_path / "a.mat")


def test_long_names_of_fields_are_kept(tmp_path):
    beside = {"info": {"a" * 50: 7}}
    io.savemat(tmp_path / "a.mat", {"image": values((9, 11), np.int16), **beside}, long_field_names=True)
    write_scan(read_scan(tmp_path / "a.mat"), tmp_path / "b.mat")
    assert io.loadmat(tmp_path / "b.mat")["info"]["a" * 50].item().item() == 7


def test_a_variable_that_cannot_be_written_back_is_refused_when_read(tmp_path):
    given = Path(io.__file__).parent / "matlab" / "tests" / "data" / "testfunc_7.4_GLNX86.mat"
    if not given.is_file():
        pytest.skip("SciPy was installed without its test files")
    io.savemat(tmp_path / "a.mat", {"image": values((9, 11), np.int16)})
    with (tmp_path / "a.mat").open("ab") as stream:
        stream.write(given.read_bytes()[128:])  # a function handle
    with pytest.raises(FormatError, match="holds a variable that can't be written back"):
        read_scan(tmp_path / "a.mat")


@pytest.mark.parametrize("case", ["mat-int16", "hdf5-int16"])
def test_a_source_that_is_gone_is_said(case, tmp_path):
    path = make(case, tmp_path)
    scan = read_scan(path)
    path.unlink()
    with pytest.raises(OutputError, match="is gone"):
        write_scan(scan, tmp_path / f"b{path.suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".h5", ".mat"])
def test_the_smallest_images_are_written_and_read(tmp_path, suffix):
    if suffix == ".h5":
        pytest.importorskip("h5py")
    data = np.arange(64, dtype=np.uint8).reshape(8, 8)
    write_scan(from_array(data), tmp_path / f"small{suffix}")
    assert np.array_equal(read_scan(tmp_path / f"small{suffix}").data, data)


@pytest.mark.parametrize("compressed", [False, True])
def test_complex_values_of_matlab_are_named_not_called_damaged(tmp_path, compressed):
    image = np.random.default_rng(0).random((64, 60, 4))
    io.savemat(tmp_path / "a.mat", {"kspace": image + 1j * image}, do_compression=compressed)
    with pytest.raises(IntensityError, match="complex"):
        read_scan(tmp_path / "a.mat")
