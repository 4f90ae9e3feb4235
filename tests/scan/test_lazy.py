"""Large scans stay in their files until slices are asked for, and give the values of those read at once."""

from __future__ import annotations

import gzip
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from diffdenoise.errors import FormatError, InputError
from diffdenoise.noise.statement import diagnose
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.dicom.voxels import decode_file
from diffdenoise.scan.prepared import prepare
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.survey import survey_of
from diffdenoise.scan.voxels import Held, Lazy, map_voxels
from diffdenoise.scan.write import write_scan
from diffdenoise.trust.character import character_of
from diffdenoise.trust.figure import compare
from tests.scan.dicom import files as dicom_files

LIMITS = [
    f"diffdenoise.scan.{module}.LAZY_FROM_BYTES"
    for module in ("formats.nifti", "formats.chunked", "dicom.read")
]


def volume(shape=(24, 20, 12), seed=0):
    """Noise of std 30 about a ramp, with padding, int16."""
    values = np.rint(np.random.default_rng(seed).normal(300, 30, shape)).astype(np.int16)
    values[:4] = -2000
    return values


def nifti(path, data, slope=None, inter=None):
    image = nibabel.Nifti1Image(data, np.diag([1.0, 1.0, 4.0, 1.0]))
    image.header.set_slope_inter(slope, inter)
    nibabel.save(image, path)
    return path


def make(kind, folder):
    """A scan of a kind, and whether it has a slope."""
    if kind == "dicom":
        values = np.moveaxis(volume(), 2, 0).copy()
        values[:, :4] = -7
        dicom_files.slices(
            folder / "d", 12, values=values, PixelPaddingValue=-7, RescaleSlope=1, RescaleIntercept=-9
        )
        return folder / "d"
    if kind == "zarr":
        zarr = pytest.importorskip("zarr")
        path = folder / "a.zarr"
        array = zarr.create_array(
            str(path), shape=(12, 24, 20), dtype="int16", chunks=(5, 8, 20), dimension_names=("z", "y", "x")
        )
        array[...] = np.moveaxis(volume(), 2, 0)
        return path
    if kind == "hdf5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(folder / "a.h5", "w") as file:
            data = np.moveaxis(volume(), 2, 0)[:, np.newaxis]
            file.create_dataset("reconstruction", data=data, chunks=(5, 1, 8, 20), compression="gzip")
        return folder / "a.h5"
    data = volume((24, 20, 6, 3)) if "series" in kind else volume()
    if "big-endian" in kind:
        data = data.astype(">i2")
    slopes = (-0.5, 3.0) if "slope" in kind else (None, None)
    return nifti(folder / ("a.nii.gz" if "gz" in kind else "a.nii"), data, *slopes)


KINDS = [
    "nii",
    "nii gz",
    "nii slope",
    "nii gz slope",
    "nii series",
    "nii gz series",
    "nii big-endian",
    "dicom",
    "zarr",
    "hdf5",
]


@pytest.fixture
def pair(request, tmp_path, monkeypatch):
    """A scan read at once, and the same one left in its file."""
    path = make(request.param, tmp_path)
    whole = read_scan(path)
    for name in LIMITS:
        monkeypatch.setattr(name, 1)
    return whole, read_scan(path)


@pytest.mark.parametrize("pair", KINDS, indirect=True)
def test_slices_and_statistics_are_those_of_the_scan_read_at_once(pair):
    whole, lazy = pair
    assert isinstance(whole.voxels, Held)
    assert isinstance(lazy.voxels, Lazy)
    assert (lazy.shape, lazy.dtype, lazy.stored_dtype) == (whole.shape, whole.dtype, whole.stored_dtype)
    for scan in pair:
        check_scan(scan)
    one, other = diagnose(whole), diagnose(lazy)
    assert other.axis == one.axis == lazy.voxels.axis
    assert other.ready.intensities == one.ready.intensities
    assert other.ready.regions.share == one.ready.regions.share > 0
    assert other.diagnosis == one.diagnosis
    for mine, theirs in zip(one.ready.volumes, other.ready.volumes, strict=True):
        # Not in order, and over the edges of chunks and slabs.
        for first, last in ((4, 6), (0, 3), (2, 6)):
            assert np.array_equal(mine.slab(first, last), theirs.slab(first, last))
            assert np.array_equal(mine.known(first, last), theirs.known(first, last))
    assert lazy.voxels._kept is None
    assert np.array_equal(lazy.data, whole.data)
    assert np.array_equal(lazy.outside, whole.outside) if whole.outside is not None else lazy.outside is None


@pytest.mark.parametrize("pair", KINDS, indirect=True)
def test_slices_across_another_axis_are_the_same_too(pair):
    whole, lazy = pair
    across = 0 if lazy.voxels.axis else 1
    assert np.array_equal(
        lazy.voxels.slab(across, 0, 3, 9),
        np.moveaxis(whole.data.reshape(*whole.shape[:3], -1)[..., 0], across, 0)[3:9],
    )


@pytest.mark.parametrize("pair", KINDS, indirect=True)
def test_what_is_computed_of_slices_is_written_as_from_memory(pair, tmp_path):
    whole = pair[0]
    suffix = {"zarr": ".zarr", "hdf5": ".h5"}.get(whole.format, ".nii.gz")
    results = []
    for number, scan in enumerate(pair):
        half = scan.with_data(map_voxels(lambda one: one.astype(np.float64) * 0.5, np.float64, scan.voxels))
        target = tmp_path / (f"result{number}" if whole.format == "dicom" else f"result{number}{suffix}")
        write_scan(half, target)
        results.append(read_scan(target))
    assert np.array_equal(results[0].data, results[1].data)
    assert not np.array_equal(results[0].data, whole.data)


def test_a_damaged_chunk_shows_when_the_store_is_read(tmp_path, monkeypatch):
    path = make("zarr", tmp_path)
    for name in LIMITS:
        monkeypatch.setattr(name, 1)
    read_scan(path)
    chunk = max((path / "c").rglob("*"), key=lambda each: (each.is_file(), str(each)))
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(FormatError, match="is damaged"):
        read_scan(path)


@pytest.mark.parametrize("pair", ["nii", "nii gz"], indirect=True)
def test_an_untouched_scan_is_written_byte_for_byte(pair, tmp_path):
    for number, scan in enumerate(pair):
        write_scan(scan, tmp_path / f"back{number}.nii")
    first, second = ((tmp_path / f"back{number}.nii").read_bytes() for number in range(2))
    assert first == second


@pytest.mark.parametrize("pair", ["nii", "nii gz series", "dicom"], indirect=True)
def test_voxels_without_data_come_back_bit_for_bit(pair):
    whole, lazy = pair
    ready = prepare(lazy)
    nothing = prepare(whole).regions.no_data
    restored = ready.restored([stack + np.float32(0.1) for stack in ready.stacks]).whole()
    assert nothing is not None
    assert np.array_equal(restored[nothing], whole.data[nothing])
    assert np.abs(restored[~nothing] - whole.data[~nothing]).min() > 0


@pytest.mark.parametrize("pair", ["nii", "nii gz series", "dicom", "zarr"], indirect=True)
def test_a_picture_shows_the_same_and_leaves_the_scan_in_its_file(pair):
    shown = []
    for scan in pair:
        half = map_voxels(lambda one: one.astype(np.float64) * 0.5, np.float64, scan.voxels)
        shown.append(compare(scan, scan.with_data(half)))
    one, other = shown
    assert (other.part, other.bound, other.view.index) == (one.part, one.bound, one.view.index)
    for mine, theirs in zip(one.panels, other.panels, strict=True):
        assert mine.caption == theirs.caption
        assert np.array_equal(mine.greys, theirs.greys)
    assert pair[1].voxels._kept is None


def test_a_gzip_file_that_is_cut_short_or_damaged_is_refused_when_it_is_read(tmp_path, monkeypatch):
    for name in LIMITS:
        monkeypatch.setattr(name, 1)
    path = nifti(tmp_path / "a.nii.gz", volume())
    packed = path.read_bytes()
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(FormatError, match="cut short"):
        read_scan(path)
    path.write_bytes(packed[:-8] + bytes(4) + packed[-4:])
    with pytest.raises(FormatError, match="damaged"):
        read_scan(path)
    path.write_bytes(gzip.compress(gzip.decompress(packed)[:-2]))
    with pytest.raises(FormatError, match="cut short"):
        read_scan(path)


def test_a_plain_file_that_is_cut_short_is_refused_when_it_is_read(tmp_path, monkeypatch):
    for name in LIMITS:
        monkeypatch.setattr(name, 1)
    path = nifti(tmp_path / "a.nii", volume())
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(FormatError, match="states"):
        read_scan(path)


def test_a_file_that_is_gone_by_the_time_its_slices_are_wanted_is_told(tmp_path, monkeypatch):
    for name in LIMITS:
        monkeypatch.setattr(name, 1)
    scan = read_scan(nifti(tmp_path / "a.nii", volume()))
    (tmp_path / "a.nii").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        check_scan(scan)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_file_that_was_changed_since_it_was_opened_is_told(suffix, tmp_path, monkeypatch):
    for name in LIMITS:
        monkeypatch.setattr(name, 1)
    path = nifti(tmp_path / f"a{suffix}", volume())
    scan = read_scan(path)
    nifti(path, volume(seed=1))
    with pytest.raises(FormatError, match="was changed since it was opened"):
        scan.voxels.slab(2, 0, 3, 5)


@pytest.mark.parametrize("pair", ["nii gz"], indirect=True)
def test_a_gzip_file_is_unpacked_once_for_what_comes_in_order(pair, monkeypatch):
    _, lazy = pair
    opened = []
    monkeypatch.setattr("diffdenoise.scan.raw.Unpacked", lambda *given: opened.append(given) or real(*given))
    ready = prepare(lazy)
    for first in range(0, 12, 2):
        # A slice more on either side, as a network with neighbours asks for them.
        ready.volumes[0].slab(max(0, first - 1), min(12, first + 3))
        ready.volumes[0].known(first, first + 2)
    assert len(opened) <= 1


def real(*given):
    from diffdenoise.scan.unpack import Unpacked

    return Unpacked(*given)


def test_a_mask_given_to_a_scan_takes_the_place_of_what_it_said(tmp_path):
    scan = read_scan(make("dicom", tmp_path))
    mask = np.zeros(scan.shape, bool)
    assert np.array_equal(scan.with_outside(mask).outside, mask)
    assert scan.with_outside(None).outside is None
    assert np.array_equal(replace(scan, name="b").outside, scan.outside)


def dicom_of_padding(folder, empty):
    """A series of padded slices, of which some are nothing but padding."""
    values = np.moveaxis(volume(), 2, 0).copy()
    values[:, :4] = -7
    values[empty] = -7
    dicom_files.slices(folder, 12, values=values, PixelPaddingValue=-7, RescaleSlope=1, RescaleIntercept=-9)
    return folder


@pytest.mark.parametrize("empty", [[], [0, 5, 11]], ids=["", "with empty slices"])
def test_a_series_is_decoded_once_for_all_that_statistics_ask(tmp_path, monkeypatch, empty):
    path = dicom_of_padding(tmp_path / "d", empty)
    whole = read_scan(path)
    for name in LIMITS:
        monkeypatch.setattr(name, 1)
    # What is looked at are a few slices, as of a large scan.
    monkeypatch.setattr("diffdenoise.scan.sample.ALL_VOXELS", 0)
    decoded = []

    def counting(series, file):
        decoded.append(file)
        return decode_file(series, file)

    monkeypatch.setattr("diffdenoise.scan.dicom.voxels.decode_file", counting)
    lazy = read_scan(path)
    found = survey_of(lazy, 2)
    assert sorted(decoded) == list(range(12))
    expected = survey_of(whole, 2)
    assert np.array_equal(found.counts.values, expected.counts.values)
    assert np.array_equal(found.counts.numbers, expected.counts.numbers)
    facts = ("axis", "least", "largest", "missing", "infinite", "values", "counted", "all_hidden")
    assert [getattr(found, fact) for fact in facts] == [getattr(expected, fact) for fact in facts]
    for number in range(12):
        assert np.array_equal(found.one(0, number), expected.one(0, number))
    assert diagnose(lazy).diagnosis == diagnose(whole).diagnosis


def test_what_a_scan_is_like_takes_no_copies_of_it(tmp_path, monkeypatch):
    path = dicom_of_padding(tmp_path / "d", [])
    for name in LIMITS:
        monkeypatch.setattr(name, 1)
    monkeypatch.setattr("diffdenoise.scan.sample.ALL_VOXELS", 0)
    scan = read_scan(path)
    character_of(scan, diagnose(scan))
    assert scan.hidden._kept is None
    assert scan.voxels._kept is None
    first, second = (found for _, found in scan.voxels.remembered[survey_of])
    assert first.counted < second.counted == scan.voxels.size
    assert first.kept is second.kept


def test_a_series_of_nothing_but_padding_is_left_as_it_is(tmp_path, monkeypatch):
    path = dicom_of_padding(tmp_path / "d", list(range(12)))
    whole = read_scan(path)
    for name in LIMITS:
        monkeypatch.setattr(name, 1)
    lazy = read_scan(path)
    assert whole.hidden is None
    assert lazy.hidden is None
    assert (survey_of(lazy, 2).least, survey_of(lazy, 2).counted) == (-16, lazy.voxels.size)
