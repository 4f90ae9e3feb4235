"""Compressed streams: what comes after them, and how much they may become."""

from __future__ import annotations

import bz2
import gzip
import io
import shutil
import tracemalloc
import zlib

import numpy as np
import pytest

from diffdenoise.errors import FormatError
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.unpack import Unpacked

from .files import make

PACK = {"gzip": gzip.compress, "zlib": zlib.compress, "bz2": bz2.compress}
CONTENT = np.random.default_rng(0).integers(0, 7, 10**6, np.uint8).tobytes()


@pytest.mark.parametrize("kind", PACK)
def test_a_stream_is_read_in_pieces_and_no_further(kind):
    stream = Unpacked(io.BytesIO(PACK[kind](CONTENT)), kind, "a")
    assert stream.read(10) == CONTENT[:10]
    assert stream.array(len(CONTENT) - 20).tobytes() == CONTENT[10:-10]
    assert stream.read(100) == CONTENT[-10:]
    assert stream.read(1) == b""
    stream.check_end()


class _Slow(io.BytesIO):
    """Gives a byte at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(1)


@pytest.mark.parametrize("kind", PACK)
def test_a_checksum_that_comes_late_is_compared(kind):
    packed = bytearray(PACK[kind](CONTENT[:100]))
    packed[-5 if kind == "bz2" else -1] ^= 64
    stream = Unpacked(_Slow(bytes(packed)), kind, "a")
    with pytest.raises(FormatError, match="a: its compressed voxels are damaged"):
        (stream.array(100), stream.check_end())


@pytest.mark.parametrize("kind", PACK)
def test_memory_is_that_of_what_is_asked_for(kind):
    packed = PACK[kind](bytes(200 * 2**20))
    tracemalloc.start()
    try:
        assert len(Unpacked(io.BytesIO(packed), kind, "a").array(2**20)) == 2**20
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["gzip", "bz2"])
def test_further_members_go_on_where_one_ends(kind):
    packed = PACK[kind](CONTENT[:1000]) + PACK[kind](CONTENT[1000:])
    assert Unpacked(io.BytesIO(packed), kind, "a").read(len(CONTENT) + 1) == CONTENT


@pytest.mark.parametrize(
    "after",
    [
        b"garbage",
        bytes(1000),
        bytes(300_000) + b"x",
        b"\x1f",
        b"\x1f\x8b\x08 no member",
        gzip.compress(b"ab", mtime=0),
    ],
)
@pytest.mark.parametrize("case", ["nifti1-gz-uint8", "nifti1-float32", "mgh-float32"])
def test_what_follows_the_gzip_member_is_left_alone(case, after, tmp_path):
    path = make(case, tmp_path)
    expected = read_scan(path)
    with path.open("ab") as stream:
        stream.write(after)
    scan = read_scan(path)
    assert np.array_equal(scan.data, expected.data)
    assert np.array_equal(scan.affine, expected.affine)


def test_voxels_in_several_members_are_read(tmp_path):
    path = make("nifti1-gz-uint8", tmp_path)
    expected = read_scan(path)
    whole = gzip.decompress(path.read_bytes())
    # As pigz and bgzip write them; zeros may lie between.
    path.write_bytes(
        gzip.compress(whole[:100]) + bytes(5) + gzip.compress(whole[100:400]) + gzip.compress(whole[400:])
    )
    assert np.array_equal(read_scan(path).data, expected.data)


def test_a_damaged_checksum_is_seen_before_what_follows(tmp_path):
    path = make("nifti1-gz-uint8", tmp_path)
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(bytes(content) + b"garbage")
    with pytest.raises(FormatError, match="compressed voxels are damaged"):
        read_scan(path)


def test_a_gzip_file_takes_no_more_than_its_voxels(tmp_path):
    path = tmp_path / "a.nii.gz"
    shutil.copy(make("nifti1-int16", tmp_path), tmp_path / "small.nii")
    head = bytearray((tmp_path / "small.nii").read_bytes()[:416])
    voxels = np.random.default_rng(0).integers(0, 1000, 256 * 256 * 60, np.int16)
    head[42:48] = np.array([256, 256, 60], "<i2").tobytes()  # dim[1] to dim[3]
    offset = int(np.frombuffer(bytes(head[108:112]), "<f4")[0])
    path.write_bytes(gzip.compress(bytes(head[:offset]) + voxels.tobytes(), 1))
    tracemalloc.start()
    try:
        scan = read_scan(path)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * voxels.nbytes
    finally:
        tracemalloc.stop()
    assert np.array_equal(scan.data.ravel(order="F"), voxels)
