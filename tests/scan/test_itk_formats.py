"""NRRD and MetaImage as SimpleITK 2.5 wrote them: one image of random numbers, in tests/scan/data."""

from __future__ import annotations

import bz2
import gzip
import shutil
import tracemalloc
from pathlib import Path

import nrrd
import numpy as np
import pytest

from diffdenoise.errors import DiffDenoiseError, FormatError, IntensityError, ShapeError
from diffdenoise.scan.read import from_array, read_scan
from diffdenoise.scan.write import write_scan

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("name", ["sitk.mha", "sitk.mhd", "sitk.nrrd", "sitk.nhdr"])
def test_values_and_geometry_are_those_of_the_nifti_copy(name):
    expected, scan = read_scan(DATA / "sitk.nii.gz"), read_scan(DATA / name)
    assert np.array_equal(scan.data, expected.data)
    assert np.allclose(scan.affine, expected.affine, atol=1e-5)
    assert scan.spacing_mm == pytest.approx((0.5, 0.75, 3.0))
    assert scan.stored_dtype == np.int16


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
def test_header_fields_are_kept(suffix, tmp_path):
    source = DATA / f"sitk{suffix}"
    write_scan(read_scan(source), tmp_path / f"a{suffix}")
    before, after = (
        set(path.read_bytes().split(b"LOCAL" if suffix == ".mha" else b"\n\n")[0].splitlines())
        for path in (source, tmp_path / f"a{suffix}")
    )
    # Sizes of what is compressed may differ, and NRRD has several names for a type.
    lost = {line.split(b"=")[0].split(b":")[0].strip() for line in before - after}
    assert lost <= {
        b"CompressedDataSize",
        b"type",
        b"NRRD0004",
        b"# Complete NRRD file format specification at",
        b"space directions",
        b"space origin",
        b"#",
    }
    again = read_scan(tmp_path / f"a{suffix}")
    assert np.allclose(again.affine, read_scan(source).affine)


def test_detached_headers_are_written_attached(tmp_path):
    scan = read_scan(DATA / "sitk.nhdr")
    with pytest.raises(DiffDenoiseError, match="suffix"):
        write_scan(scan, tmp_path / "a.nhdr")
    write_scan(scan, tmp_path / "a.nrrd")
    assert np.array_equal(read_scan(tmp_path / "a.nrrd").data, scan.data)
    both = read_scan(DATA / "sitk.mhd")
    write_scan(both, tmp_path / "a.mhd")
    assert [path.name for path in tmp_path.iterdir() if "mhd" in path.name] == ["a.mhd"]
    assert np.array_equal(read_scan(tmp_path / "a.mhd").data, scan.data)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
def test_an_array_becomes_an_image_with_its_spacing(suffix, tmp_path):
    data = np.arange(9 * 11 * 4, dtype=np.int16).reshape(9, 11, 4)
    write_scan(from_array(data), tmp_path / f"a{suffix}")
    assert np.array_equal(read_scan(tmp_path / f"a{suffix}").data, data)


@pytest.mark.parametrize(
    ("old", "new", "error", "reason"),
    [
        (b"ElementDataFile = LOCAL", b"ElementDataFile = ../x.raw", FormatError, "outside of its folder"),
        (b"ElementDataFile = LOCAL", b"ElementDataFile = gone.raw", FormatError, "is missing"),
        (b"DimSize = 10 12 6", b"DimSize = 90000 90000 90000", FormatError, "more than the file's"),
        (b"DimSize = 10 12 6", b"DimSize = 10 12 7", FormatError, "cut short"),
        (b"DimSize = 10 12 6", b"DimSize = -10 12 6", FormatError, "a size of -10"),
        (b"NDims = 3", b"NDims = 2", ShapeError, "has 3 axes"),
        (b"MET_SHORT", b"MET_OTHER", FormatError, "type that is not read"),
        (b"NDims = 3", b"NDims = 3\nElementNumberOfChannels = 3", IntensityError, "several values"),
        (b"ElementDataFile", b"ElementData", FormatError, "its header"),
    ],
)
def test_what_cannot_be_read_is_refused(old, new, error, reason, tmp_path):
    whole = (DATA / "sitk.mha").read_bytes()
    assert old in whole
    (tmp_path / "a.mha").write_bytes(whole.replace(old, new))
    with pytest.raises(error, match=reason):
        read_scan(tmp_path / "a.mha")


@pytest.mark.parametrize(
    ("old", "new", "error", "reason"),
    [
        (b"sizes: 10 12 6", b"sizes: 90000 90000 90000", FormatError, "more than the file's"),
        (b"data file: sitk.raw", b"data file: ../../x", FormatError, "outside of its folder"),
        (b"data file: sitk.raw", b"data file: gone.raw", FormatError, "is missing"),
        (b"kinds: domain domain domain", b"kinds: vector domain domain", IntensityError, "several values"),
        (b"type: short", b"type: block", FormatError, "expected numbers"),
    ],
)
def test_detached_headers_that_lie_are_refused(old, new, error, reason, tmp_path):
    whole = (DATA / "sitk.nhdr").read_bytes()
    assert old in whole
    shutil.copy(DATA / "sitk.raw", tmp_path)
    (tmp_path / "a.nhdr").write_bytes(whole.replace(old, new))
    with pytest.raises(error, match=reason):
        read_scan(tmp_path / "a.nhdr")


CASES = Path(__file__).parents[1] / "cases" / "mha-tracked-ultrasound"


def _pose_fields(path: Path) -> list[bytes]:
    head = path.read_bytes().split(b"ElementDataFile")[0]
    return [line for line in head.splitlines() if line.startswith(b"Seq_")]


@pytest.mark.parametrize(
    ("name", "frames"), [("sweep_40_frames.igs.mha", 40), ("sweep_80_frames.igs.mha", 80)]
)
def test_a_tracked_sweep_is_read_and_keeps_every_pose(name, frames, tmp_path):
    scan = read_scan(CASES / name)
    assert frames in scan.data.shape
    write_scan(scan, tmp_path / "b.mha")
    assert len(_pose_fields(CASES / name)) > 2 * frames
    assert _pose_fields(tmp_path / "b.mha") == _pose_fields(CASES / name)
    assert np.array_equal(read_scan(tmp_path / "b.mha").data, scan.data)


def test_a_sweep_of_thousands_of_frames_is_read(tmp_path):
    head, last, rest = (DATA / "sitk.mha").read_bytes().partition(b"ElementDataFile")
    pose = b"Seq_Frame%06d_ProbeToTrackerTransform =" + b" 1.25" * 16
    poses = b"".join(pose % number + b"\n" for number in range(5000))
    (tmp_path / "a.mha").write_bytes(head + poses + last + rest)
    scan = read_scan(tmp_path / "a.mha")
    assert np.array_equal(scan.data, read_scan(DATA / "sitk.mha").data)
    write_scan(scan, tmp_path / "b.mha")
    assert b"".join(line + b"\n" for line in _pose_fields(tmp_path / "b.mha")) == poses


@pytest.mark.parametrize("line", [b"Comment = " + bytes(2**20), b"x" * 2**21])
def test_a_header_without_end_is_refused(line, tmp_path):
    (tmp_path / "a.mha").write_bytes(b"ObjectType = Image\n" + line)
    with pytest.raises(FormatError, match="its header has no end"):
        read_scan(tmp_path / "a.mha")


@pytest.mark.parametrize("number", [b"nan", b"inf"])
@pytest.mark.parametrize("name", ["ElementSpacing", "TransformMatrix", "Offset"])
def test_geometry_of_metaimage_that_is_no_number_is_refused_by_field(name, number, tmp_path):
    lines = (DATA / "sitk.mha").read_bytes().partition(b"ElementDataFile")
    head = b"".join(
        line.rpartition(b" ")[0] + b" " + number + b"\n" if line.startswith(name.encode()) else line + b"\n"
        for line in lines[0].splitlines()
    )
    (tmp_path / "a.mha").write_bytes(head + lines[1] + lines[2])
    with pytest.raises(FormatError, match=f"its {name} holds? NaN or infinity"):
        read_scan(tmp_path / "a.mha")


def _nrrd(tmp_path: Path, **fields: str) -> Path:
    head = {
        "type": "short",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "9 11 4",
        "space directions": "(1,0,0) (0,1,0) (0,0,2)",
        "encoding": "raw",
        "endian": "little",
        **{name.replace("_", " "): value for name, value in fields.items()},
    }
    text = "NRRD0004\n" + "".join(f"{key}: {value}\n" for key, value in head.items() if value)
    voxels = np.arange(9 * 11 * 4, dtype="<i2")
    (tmp_path / "a.nrrd").write_bytes(text.encode() + b"\n" + voxels.tobytes())
    return tmp_path / "a.nrrd"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"space_directions": "(1,0,0) (0,nan,0) (0,0,2)"}, "space directions"),
        ({"space_directions": "(1,0,0) (0,inf,0) (0,0,2)"}, "space directions"),
        ({"space_origin": "(nan,0,0)"}, "space origin"),
        ({"space": "", "space_directions": "", "spacings": "1 inf 2"}, "spacings"),
    ],
)
def test_geometry_of_nrrd_that_is_no_number_is_refused_by_field(fields, named, tmp_path):
    with pytest.raises(FormatError, match=f"its {named} holds NaN or infinity"):
        read_scan(_nrrd(tmp_path, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"space_directions": "none none none"},
        {"space_directions": "none none none", "space_origin": "(nan,0,0)"},
        {"space_directions": "(1,0,0) (0,1,0) none"},
        {"space": "", "space_directions": "", "spacings": "nan nan nan"},
        {"space_directions": "(0,0,0) (0,0,0) (0,0,0)"},
    ],
)
def test_nrrd_axes_without_a_place_have_none_and_are_written_back(fields, tmp_path):
    scan = read_scan(_nrrd(tmp_path, **fields))
    assert scan.affine is None
    assert scan.spacing_mm is None
    write_scan(scan, tmp_path / "b.nrrd")
    before, after = (
        path.read_bytes().split(b"\n\n")[0] for path in (tmp_path / "a.nrrd", tmp_path / "b.nrrd")
    )
    for name in fields:
        key = name.replace("_", " ").encode() + b":"
        lines = [[x for x in head.splitlines() if x.startswith(key)] for head in (before, after)]
        assert [x.lower() for x in lines[0] if x != key + b" "] == [x.lower() for x in lines[1]]


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
@pytest.mark.parametrize("excess", [-1, 0, 1, 2**28])
def test_compressed_nrrd_takes_as_many_bytes_as_its_header_states(encoding, excess, tmp_path):
    path = _nrrd(tmp_path, encoding=encoding)
    head, _, voxels = path.read_bytes().partition(b"\n\n")
    content = voxels[:excess] if excess < 0 else voxels + bytes(excess)
    path.write_bytes(head + b"\n\n" + {"gzip": gzip.compress, "bzip2": bz2.compress}[encoding](content))
    tracemalloc.start()
    try:
        if excess:
            with pytest.raises(FormatError, match=r"cut short|unpack to more than the 792 bytes"):
                read_scan(path)
        else:
            assert np.array_equal(read_scan(path).data.ravel(order="F"), np.frombuffer(voxels, "<i2"))
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "kind", ["signed char", "uint8_t", "unsigned short int", "int32", "uint64", "float", "double"]
)
@pytest.mark.parametrize("endian", ["little", "big"])
def test_compressed_nrrd_of_every_type_is_read_as_pynrrd_does(kind, endian, tmp_path):
    size = {"signed char": 1, "uint8_t": 1, "unsigned short int": 2, "uint64": 8, "double": 8}.get(kind, 4)
    content = np.random.default_rng(0).integers(0, 64, 9 * 11 * 4 * size, np.uint8).tobytes()
    path = _nrrd(tmp_path, encoding="gzip", type=kind, endian=endian)
    path.write_bytes(path.read_bytes().partition(b"\n\n")[0] + b"\n\n" + gzip.compress(content))
    expected = nrrd.read(str(path))[0]
    scan = read_scan(path)
    assert np.array_equal(scan.data, expected)
    assert scan.stored_dtype == expected.dtype


@pytest.mark.parametrize("skip", ["3", "-1"])
def test_bytes_before_compressed_voxels_are_counted_unpacked(skip, tmp_path):
    path = _nrrd(tmp_path, encoding="gzip", byte_skip=skip)
    head, _, voxels = path.read_bytes().partition(b"\n\n")
    path.write_bytes(head + b"\n\n" + gzip.compress(bytes(max(0, int(skip))) + voxels))
    assert np.array_equal(read_scan(path).data.ravel(order="F"), np.frombuffer(voxels, "<i2"))


def test_numbers_in_words_may_be_short(tmp_path):
    path = _nrrd(tmp_path, encoding="ascii", type="double")
    head = path.read_bytes().partition(b"\n\n")[0]
    path.write_bytes(head + b"\n\n" + b"1 0 " * (9 * 11 * 2))
    assert read_scan(path).data.sum() == 9 * 11 * 2
