"""Zarr stores: what is special about images that are a folder each."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import shutil
import sys
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr
from numcodecs import Pickle

from diffdenoise.errors import (
    DiffDenoiseError,
    FormatError,
    InputError,
    IntensityError,
    OutputError,
    ShapeError,
)
from diffdenoise.scan import atomic
from diffdenoise.scan.find import find_scans
from diffdenoise.scan.read import from_array, read_scan
from diffdenoise.scan.write import check_output, write_scan
from diffdenoise.trust.figure import check_picture

from .files import make, ome_zarr, values, zarr_array


@pytest.mark.parametrize(
    ("case", "shape"), [("zarr-ome-0.4", (3, 9, 11)), ("zarr-ome-0.5-4d", (3, 9, 11, 2))]
)
def test_axes_and_spacing_of_an_ome_image(case, shape, tmp_path):
    path = make(case, tmp_path)
    scan = read_scan(path)
    stored = zarr.open(path, mode="r")["0"][...]
    assert scan.data.shape == shape
    assert np.array_equal(scan.data, np.moveaxis(stored[:, 0], 0, -1).squeeze())
    assert scan.spacing_mm == pytest.approx((0.003, 0.0005, 0.00075))
    assert scan.slice_axis == 0
    assert scan.name == "a.ome.zarr"


def test_the_units_and_scales_of_all_levels_count(tmp_path):
    path = make("zarr-ome-0.4", tmp_path)
    attributes = json.loads((path / ".zattrs").read_text())
    image = attributes["multiscales"][0]
    image["coordinateTransformations"] = [{"type": "scale", "scale": [1, 1, 2, 2, 2]}]
    (path / ".zattrs").write_text(json.dumps(attributes))
    assert read_scan(path).spacing_mm == pytest.approx((0.006, 0.001, 0.0015))
    image["axes"][3]["unit"] = "parsec"
    (path / ".zattrs").write_text(json.dumps(attributes))
    assert read_scan(path).spacing_mm is None
    # As before NGFF 0.3.
    del image["axes"]
    (path / ".zattrs").write_text(json.dumps(attributes))
    assert read_scan(path).data.shape == (3, 9, 11)


@pytest.mark.parametrize("case", ["zarr-ome-0.4", "zarr-ome-0.5-4d"])
def test_a_written_image_has_all_levels_and_attributes(case, tmp_path):
    path = make(case, tmp_path)
    scan = read_scan(path)
    ramp = np.broadcast_to(np.linspace(0, 1000, 11), scan.data.shape[:3]).copy()
    if scan.data.ndim == 4:
        ramp = np.stack([ramp, 2 * ramp], axis=-1)
    write_scan(scan.with_data(ramp), tmp_path / "b.zarr")
    source, result = zarr.open(path, mode="r"), zarr.open(tmp_path / "b.zarr", mode="r")
    assert result.attrs.asdict() == source.attrs.asdict()
    for level in ("0", "1"):
        old, new = source[level].metadata.to_dict(), result[level].metadata.to_dict()
        assert new == old
    fine, coarse = result["0"][...], result["1"][...]
    assert np.array_equal(read_scan(tmp_path / "b.zarr").data, np.rint(ramp))
    # Smoothed and sampled, the ramp is one still: from its first step's middle to its last's.
    expected = np.linspace(0, 1, coarse.shape[-1])
    found = coarse[0, 0, 1, 2] / fine.max() * (1 if fine.shape[0] == 1 else 2)
    assert np.abs(found - expected).max() < 0.1


def test_chunks_and_compression_are_those_of_the_source(tmp_path):
    path = make("zarr-sharded-float32", tmp_path)
    write_scan(read_scan(path), tmp_path / "b.zarr")
    first, second = (zarr.open(each, mode="r").metadata.to_dict() for each in (path, tmp_path / "b.zarr"))
    assert first == second
    assert first["attributes"] == {"note": "kept"}


def test_an_array_becomes_a_plain_store(tmp_path):
    data = values((9, 11, 4), np.int16)
    write_scan(from_array(data), tmp_path / "a.zarr")
    assert np.array_equal(zarr.open(tmp_path / "a.zarr", mode="r")[...], data)


def test_stores_of_several_arrays(tmp_path):
    path = tmp_path / "a.zarr"
    group = zarr.create_group(path, attributes={"who": "kept"})
    group.create_array("times", data=np.arange(30.0))
    group.create_array("deep/image", data=values((9, 11), np.int16))
    scan = read_scan(path)
    assert scan.data.shape == (9, 11)
    write_scan(scan, tmp_path / "b.zarr")
    written = zarr.open(tmp_path / "b.zarr", mode="r")
    assert written.attrs.asdict() == {"who": "kept"}
    assert [name for name, _ in written.members(max_depth=None)] == ["deep", "deep/image"]
    group.create_array("other", data=values((9, 11), np.int16))
    with pytest.raises(
        FormatError, match=r"2 arrays that may be images \((deep/image, other|other, deep/image)\)"
    ):
        read_scan(path)


def test_one_image_in_a_group_of_its_own_is_found_and_labels_are_passed_over(tmp_path):
    # As bioformats2raw lays it out.
    path = tmp_path / "a.zarr"
    zarr.create_group(path, attributes={"ome": {"version": "0.5", "bioformats2raw.layout": 3}})
    ome_zarr((1, 1, 3, 9, 11), np.uint16, version="0.5")(path / "0")
    ome_zarr((1, 1, 3, 9, 11), np.uint16, version="0.5")(path / "0" / "labels" / "cells")
    scan = read_scan(path)
    write_scan(scan, tmp_path / "b.zarr")
    again = read_scan(tmp_path / "b.zarr")
    assert np.array_equal(again.data, scan.data)
    assert again.header == scan.header
    ome_zarr((1, 1, 3, 9, 11), np.uint16, version="0.5")(path / "1")
    with pytest.raises(FormatError, match="holds 2 images"):
        read_scan(path)


@pytest.mark.parametrize(
    ("shape", "dtype", "error", "reason"),
    [
        ((1, 2, 3, 9, 11), np.int16, ShapeError, "several channels"),
        ((2, 3, 9, 11, 4), np.int16, ShapeError, "5 axes"),
        ((9, 11), np.complex64, IntensityError, "complex"),
        ((9, 11), bool, FormatError, "no numbers"),
    ],
)
def test_what_is_no_scan_is_refused(shape, dtype, error, reason, tmp_path):
    path = tmp_path / "a.zarr"
    if "channels" in reason:
        ome_zarr(shape, dtype, version="0.5")(path)
    else:
        zarr.create_array(path, data=np.zeros(shape, dtype))
    with pytest.raises(error, match=reason):
        read_scan(path)


class _Harmful:
    def __reduce__(self):
        return (os.mkdir, ("harm",))


@pytest.mark.parametrize("place", ["compressor", "filters"])
def test_a_codec_that_runs_code_is_refused(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.zarr"
    _one_chunk(path, place, {"id": "pickle", "protocol": 5})
    (path / "0.0").write_bytes(Pickle().encode(np.array([_Harmful()], object)))
    with pytest.raises(FormatError, match=r"damaged or of a kind that is not read|codec pickle is not read"):
        read_scan(path)
    assert not (tmp_path / "harm").exists()


class _Strange(numcodecs.abc.Codec):
    codec_id = "strange"

    def encode(self, buf):
        return buf

    def decode(self, buf, out=None):
        raise AssertionError("was run")


def test_a_codec_that_is_not_known_to_be_safe_is_refused(tmp_path):
    numcodecs.register_codec(_Strange)
    path = tmp_path / "a.zarr"
    _one_chunk(path, "compressor", {"id": "strange"})
    (path / "0.0").write_bytes(bytes(9 * 11 * 2))
    with pytest.raises(FormatError, match="codec strange is not read"):
        read_scan(path)


def _one_chunk(path: Path, place: str, codec: dict[str, object]) -> None:
    zarr.create_array(
        path, shape=(9, 11), chunks=(9, 11), dtype="i2", zarr_format=2, filters=None, compressors=None
    )
    described = json.loads((path / ".zarray").read_text())
    described[place] = [codec] if place == "filters" else codec
    (path / ".zarray").write_text(json.dumps(described))


def test_absurd_sizes_and_paths_are_refused_before_memory_is_asked_for(tmp_path):
    path = make("zarr-int16", tmp_path)
    described = json.loads((path / "zarr.json").read_text())
    described["shape"] = [100_000, 100_000, 100]
    (path / "zarr.json").write_text(json.dumps(described))
    with pytest.raises(FormatError, match=r"states [0-9,]+ bytes of voxels and holds"):
        read_scan(path)
    outside = make("zarr-ome-0.4", tmp_path)
    attributes = json.loads((outside / ".zattrs").read_text())
    attributes["multiscales"][0]["datasets"][0]["path"] = "../a.zarr"
    (outside / ".zattrs").write_text(json.dumps(attributes))
    with pytest.raises(FormatError, match="damaged"):
        read_scan(outside)


@pytest.mark.parametrize("case", ["zarr-int16", "zarr-ome-0.4", "zarr-sharded-float32"])
def test_damaged_stores_give_our_errors_and_print_nothing(case, tmp_path, capfd):
    path = make(case, tmp_path)
    rng = np.random.default_rng(0)
    for file in [each for each in path.rglob("*") if each.is_file()]:
        whole = file.read_bytes()
        places = rng.integers(0, max(1, len(whole)), 12)
        damaged = [whole[: len(whole) // 2], b"", *(whole[:at] + b"\xff" + whole[at + 1 :] for at in places)]
        for content in damaged:
            file.write_bytes(content)
            try:
                assert read_scan(path).data.dtype.isnative
            except DiffDenoiseError as error:
                assert "\n" not in str(error)  # noqa: PT017
        file.write_bytes(whole)
    assert capfd.readouterr() == ("", "")


def test_what_is_no_store_is_refused(tmp_path):
    (tmp_path / "empty.zarr").mkdir()
    (tmp_path / "file.zarr").write_bytes(b"words")
    for name in ("empty.zarr", "file.zarr"):
        with pytest.raises(FormatError, match="damaged"):
            read_scan(tmp_path / name)


@pytest.mark.parametrize("change", ["missing", "group", "axes", "twice", "larger", "outside"])
def test_damaged_levels_are_refused_when_read_not_when_written(change, tmp_path):
    path = make("zarr-ome-0.5-4d", tmp_path)
    described = json.loads((path / "zarr.json").read_text())
    datasets = described["attributes"]["ome"]["multiscales"][0]["datasets"]
    group = zarr.open_group(path)
    if change == "missing":
        shutil.rmtree(path / "1")
    elif change == "group":
        group.create_group("1", overwrite=True)
    elif change == "axes":
        group.create_array("1", data=values((9, 11), np.int16), overwrite=True)
    elif change == "larger":
        group.create_array("1", shape=(2, 1, 3, 10**6, 10**6), dtype="i2", overwrite=True)
    datasets[1]["path"] = {"twice": "0", "outside": "../a"}.get(change, "1")
    (path / "zarr.json").write_text(json.dumps(described))
    with pytest.raises(FormatError, match="damaged"):
        read_scan(path)


def test_a_scan_can_be_written_when_its_source_is_gone(tmp_path):
    path = make("zarr-ome-0.4", tmp_path)
    scan = read_scan(path)
    shutil.rmtree(path)
    write_scan(scan, tmp_path / "b.zarr")
    assert np.array_equal(read_scan(tmp_path / "b.zarr").data, scan.data)


@pytest.mark.parametrize(
    ("axis", "name", "kind", "shape"),
    [(0, "time", "time", (3, 9, 11, 2)), (1, "channel", "channel", "several channels")],
)
def test_axes_are_told_by_their_type(axis, name, kind, shape, tmp_path):
    path = tmp_path / "a.zarr"
    ome_zarr((2, 1, 3, 9, 11) if axis == 0 else (1, 2, 3, 9, 11), np.int16, version="0.5")(path)
    described = json.loads((path / "zarr.json").read_text())
    described["attributes"]["ome"]["multiscales"][0]["axes"][axis] = {"name": name, "type": kind}
    (path / "zarr.json").write_text(json.dumps(described))
    if isinstance(shape, tuple):
        assert read_scan(path).data.shape == shape
    else:
        with pytest.raises(ShapeError, match=shape):
            read_scan(path)


@pytest.mark.parametrize("names", [("T", "Z", "Y", "X"), ("time", "z", "y", "x")])
def test_plain_arrays_may_name_their_axes(names, tmp_path):
    zarr.create_array(tmp_path / "a.zarr", data=values((2, 3, 9, 11), np.int16), dimension_names=names)
    assert read_scan(tmp_path / "a.zarr").data.shape == (3, 9, 11, 2)


def test_two_images_in_one_group_are_refused(tmp_path):
    path = make("zarr-ome-0.4", tmp_path)
    attributes = json.loads((path / ".zattrs").read_text())
    attributes["multiscales"] *= 2
    (path / ".zattrs").write_text(json.dumps(attributes))
    with pytest.raises(FormatError, match="holds 2 images"):
        read_scan(path)


def test_groups_on_the_way_keep_their_attributes(tmp_path):
    path = tmp_path / "a.zarr"
    zarr.create_group(path, attributes={"plate": 1}).create_group("A", attributes={"row": 2})
    ome_zarr((1, 1, 3, 9, 11), np.uint16, version="0.5")(path / "A" / "1")
    write_scan(read_scan(path), tmp_path / "b.zarr")
    written = zarr.open(tmp_path / "b.zarr", mode="r")
    assert written.attrs.asdict() == {"plate": 1}
    assert written["A"].attrs.asdict() == {"row": 2}
    assert written["A/1"].attrs.asdict() == zarr.open(path, mode="r")["A/1"].attrs.asdict()


@pytest.mark.parametrize("compressor", [numcodecs.Zstd(), numcodecs.Blosc(), numcodecs.LZ4()])
def test_a_chunk_that_unpacks_to_far_more_than_a_chunk_is_refused(compressor, tmp_path):
    path = tmp_path / "a.zarr"
    zarr.create_array(
        path, shape=(9, 11), chunks=(9, 11), dtype="i2", zarr_format=2, filters=None, compressors=compressor
    )[...] = 1
    assert read_scan(path).data.max() == 1
    (chunk,) = (each for each in path.rglob("*") if each.is_file() and not each.name.startswith(".z"))
    chunk.write_bytes(compressor.encode(np.zeros(10**7, np.uint8)))
    with pytest.raises(FormatError, match="unpacks to more than its size"):
        read_scan(path)


def test_messages_are_short_and_hold_nothing_of_the_header(tmp_path):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=np.zeros((9, 11), [("DOE^JOHN", "<i2")]), zarr_format=2)
    with pytest.raises(FormatError, match="holds no numbers"):
        read_scan(path)
    many = zarr.create_group(tmp_path / "b.zarr")
    for number in range(30):
        many.create_array(f"line\n{number}", data=values((9, 11), np.int16))
    with pytest.raises(FormatError, match="holds 30 arrays") as caught:
        read_scan(tmp_path / "b.zarr")
    assert len(str(caught.value)) < 400 + len(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_values_outside_of_a_filters_range_do_not_wrap(tmp_path):
    path = tmp_path / "a.zarr"
    scaled = numcodecs.FixedScaleOffset(offset=1000, scale=10, dtype="<f8", astype="u1")
    zarr_array((9, 11), np.float64, zarr_format=2, filters=[scaled])(path)
    scan = read_scan(path)
    asked = np.linspace(900, 1100, 99).reshape(9, 11)
    write_scan(scan.with_data(asked), tmp_path / "b.zarr")
    assert np.array_equal(read_scan(tmp_path / "b.zarr").data, asked)


def test_the_byte_order_of_format_3_is_kept(tmp_path):
    from zarr.codecs import BytesCodec

    path = tmp_path / "a.zarr"
    zarr_array((9, 11), np.int16, serializer=BytesCodec(endian="big"))(path)
    write_scan(read_scan(path), tmp_path / "b.zarr")
    first, second = (zarr.open(each, mode="r").metadata.to_dict() for each in (path, tmp_path / "b.zarr"))
    assert first == second


def test_an_interrupted_replacement_leaves_one_of_the_two(tmp_path, monkeypatch):
    scan = read_scan(make("zarr-int16", tmp_path))
    target = tmp_path / "b.zarr"
    write_scan(scan, target)
    replace = Path.replace

    def broken(self: Path, other: Path) -> Path:
        if other == target and self.name.startswith(".partial") and not self.name.endswith(".old"):
            raise KeyboardInterrupt
        return replace(self, other)

    monkeypatch.setattr(Path, "replace", broken)
    # As on systems that can't swap names.
    monkeypatch.setattr(atomic, "_swap", lambda *_: False)
    with pytest.raises(KeyboardInterrupt):
        write_scan(scan.with_data(scan.data * 0), target, overwrite=True)
    assert np.array_equal(read_scan(target).data, scan.data)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.zarr", "b.zarr"]


@pytest.mark.parametrize("swaps", [True, False])
def test_a_store_is_replaced_in_one_step_or_in_two(swaps, tmp_path, monkeypatch):
    scan = read_scan(make("zarr-int16", tmp_path))
    target = tmp_path / "b.zarr"
    write_scan(scan, target)
    swap, done = atomic._swap, []
    monkeypatch.setattr(atomic, "_swap", lambda *names: swaps and (done.append(swap(*names)) or done[-1]))
    write_scan(scan.with_data(scan.data * 0), target, overwrite=True)
    if swaps and sys.platform == "linux":
        assert done == [True]
    assert not read_scan(target).data.any()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.zarr", "b.zarr"]


def test_nothing_is_written_into_a_store_or_over_one_that_holds_the_input(tmp_path):
    outer = tmp_path / "outer.zarr"
    zarr.create_group(outer).create_array("image", data=values((9, 11), np.int16))
    inner = make("zarr-int16", outer)
    with pytest.raises(OutputError, match="holds the input"):
        check_output(outer, "zarr", overwrite=True, inputs=[inner])
    with pytest.raises(OutputError, match=r"inside the image outer\.zarr"):
        check_picture(outer / "p.png")


def test_without_the_package_it_is_said_how_to_install_it(tmp_path, monkeypatch):
    path = make("zarr-int16", tmp_path)
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(FormatError, match=r"pip install 'diffdenoise\[zarr\]'"):
        read_scan(path)


def test_a_folder_finds_stores_and_nothing_inside_them(tmp_path):
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    # Its raw chunk begins as old DICOM does.
    data = np.zeros((16, 16), np.uint16)
    data.flat[:4] = [8, 5, 3, 0]
    zarr.create_array(tmp_path / "in" / "deeper" / "a.zarr", data=data, compressors=None, chunks=(16, 16))
    zarr.create_array(tmp_path / "in" / ".hidden.zarr", data=data)
    make("npy-int16", tmp_path / "in")
    found = find_scans([tmp_path / "in"])
    assert [each.name for each in found.scans] == ["a.npy", "deeper/a.zarr"]
    assert found.skipped == {}
    (alone,) = find_scans([tmp_path / "in" / "deeper" / "a.zarr"]).scans
    assert alone.name == "a.zarr"
    assert [each.name for each in find_scans([f"{tmp_path}/in/deeper/*"]).scans] == ["a.zarr"]


def test_a_store_is_replaced_only_by_leave_and_never_the_input(tmp_path):
    source = make("zarr-int16", tmp_path)
    scan = read_scan(source)
    target = tmp_path / "b.zarr"
    write_scan(scan, target)
    (target / "mark").write_text("old")
    with pytest.raises(OutputError, match="exists already"):
        write_scan(scan, target)
    write_scan(scan, target, overwrite=True)
    assert not (target / "mark").exists()
    for name in (source, tmp_path / "link.zarr"):
        if name != source:
            name.symlink_to(source, target_is_directory=True)
        with pytest.raises(OutputError, match="is the input itself"):
            check_output(name, "zarr", overwrite=True, inputs=[source])
    with pytest.raises(OutputError, match=r"inside the image a\.zarr"):
        check_output(source / "b.zarr", "zarr", overwrite=False, inputs=[source])
    # Any folder may have such a name.
    shutil.rmtree(target)
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="is a folder"):
        write_scan(scan, target, overwrite=True)
    assert (target / "thesis.txt").exists()
    # A link is replaced, not what it leads to.
    (tmp_path / "link.zarr").unlink()
    write_scan(scan, tmp_path / "c.zarr")
    (tmp_path / "link.zarr").symlink_to(tmp_path / "c.zarr", target_is_directory=True)
    write_scan(scan.with_data(scan.data * 0), tmp_path / "link.zarr", overwrite=True)
    assert np.array_equal(read_scan(tmp_path / "c.zarr").data, scan.data)
    assert not read_scan(tmp_path / "link.zarr").data.any()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.zarr", "b.zarr", "c.zarr", "link.zarr"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    source = make("zarr-int16", tmp_path)
    scan = read_scan(source)
    target = tmp_path / "b.zarr"
    write_scan(scan, target)

    def full(*args: object, **options: object) -> None:
        (Path(str(args[0])) / "0").mkdir(parents=True)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zarr, "create_array", full)
    with pytest.raises(OutputError, match="disk is full"):
        write_scan(scan.with_data(scan.data * 0), target, overwrite=True)
    assert np.array_equal(read_scan(target).data, scan.data)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.zarr", "b.zarr"]
    with pytest.raises(InputError, match="not found"):
        read_scan(tmp_path / "c.zarr")


def test_floats_of_integers_lose_their_filters(tmp_path):
    from numcodecs import Delta

    path = tmp_path / "a.zarr"
    zarr_array((9, 11), np.int16, zarr_format=2, filters=[Delta(dtype="<i2")])(path)
    scan = read_scan(path)
    write_scan(scan, tmp_path / "b.zarr", float32=True)
    written = zarr.open(tmp_path / "b.zarr", mode="r")
    assert written.dtype == np.float32
    assert np.array_equal(written[...], scan.data)
    write_scan(scan, tmp_path / "c.zarr")
    assert zarr.open(tmp_path / "c.zarr", mode="r").filters == (Delta(dtype="<i2"),)


def _link(path: Path, target: str | Path) -> None:
    path.unlink()
    path.symlink_to(target)


@pytest.mark.parametrize("place", ["zarr.json", "c/0/0/0"])
@pytest.mark.parametrize("target", ["/dev/zero", "/etc/passwd", "../outside", "gone"])
def test_links_out_of_the_store_are_refused_before_they_are_opened(place, target, tmp_path):
    path = make("zarr-int16", tmp_path)
    (tmp_path / "outside").write_bytes((path / place).read_bytes())
    _link(path / place, tmp_path / "outside" if target == "../outside" else target)
    with pytest.raises(FormatError, match="a link that leads out of it, or to no file"):
        read_scan(path)


def test_pipes_and_links_to_folders_are_refused_and_links_inside_are_followed(tmp_path):
    path = make("zarr-int16", tmp_path)
    expected = read_scan(path).data
    chunk = path / "c/0/0/0"
    chunk.rename(path / "elsewhere")
    chunk.symlink_to(path / "elsewhere")
    assert np.array_equal(read_scan(path).data, expected)
    (path / "loop").symlink_to(path, target_is_directory=True)
    with pytest.raises(FormatError, match="a link that leads"):
        read_scan(path)
    (path / "loop").unlink()
    chunk.unlink()
    os.mkfifo(chunk)
    with pytest.raises(FormatError, match="holds a pipe, device or socket"):
        read_scan(path)


def _zstd_without_a_size(content: bytes) -> bytes:
    """A zstd frame that doesn't say how much it holds: RLE blocks of 128 KiB (RFC 8878, 3.1.1)."""
    zeros = len(content)
    blocks = [(2**17 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"] * (zeros // 2**17)
    last = (0 << 3 | 0 << 1 | 1).to_bytes(3, "little")
    return b"\x28\xb5\x2f\xfd" + b"\0" + b"\x38" + b"".join(blocks) + last


@pytest.mark.skipif(sys.platform != "linux", reason="other systems don't limit a process's memory")
@pytest.mark.parametrize(
    ("compressor", "pack"),
    [
        ({"id": "bz2", "level": 9}, lambda zeros: bz2.compress(zeros)),
        ({"id": "lzma", "format": 1, "check": -1, "preset": None, "filters": None}, lzma.compress),
        ({"id": "gzip", "level": 9}, lambda zeros: gzip.compress(zeros)),
        ({"id": "zstd", "level": 1}, _zstd_without_a_size),
    ],
)
def test_chunks_that_unpack_to_anything_are_stopped(compressor, pack, tmp_path):
    path = tmp_path / "a.zarr"
    _one_chunk(path, "compressor", compressor)
    (path / "0.0").write_bytes(pack(bytes(2**29)))
    with pytest.raises(FormatError, match=r"needs more than|damaged|unpacks to more"):
        read_scan(path)
