from __future__ import annotations

import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from diffdenoise.errors import FormatError, IntensityError, OutputError, ShapeError
from diffdenoise.scan.read import from_array, read_scan
from diffdenoise.scan.write import write_scan

from .files import make, values

COLOUR = values((9, 11, 3), np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.tif"


def test_pages_are_slices_along_the_first_axis(tmp_path):
    scan = read_scan(make("tiff-pages", tmp_path))
    assert scan.data.shape == (3, 9, 11)
    assert scan.slice_axis == 0


def test_tags_are_kept(tmp_path):
    path = make("tiff-16", tmp_path)
    scan = read_scan(path)
    write_scan(scan.with_data(scan.data // 2), path, overwrite=True)
    with tifffile.TiffFile(path) as tiff:
        tags = tiff.pages[0].tags
        assert tags["ImageDescription"].value == "plain words"
        numerator, denominator = tags["XResolution"].value
        assert numerator / denominator == pytest.approx(118.5)
        assert tags["ResolutionUnit"].value == 3  # centimetres


def test_form_is_kept(tmp_path):
    for case, photometric, byteorder in [
        ("tiff-white-is-zero", 0, "<"),
        ("tiff-big-endian", 1, ">"),
        ("tiff-grey-as-rgb", 2, "<"),
    ]:
        path = make(case, tmp_path)
        write_scan(read_scan(path), path, overwrite=True)
        with tifffile.TiffFile(path) as tiff:
            assert tiff.pages[0].photometric == photometric
            assert tiff.byteorder == byteorder


def test_imagej_still_finds_the_stack(tmp_path):
    path = make("tiff-imagej", tmp_path)
    write_scan(read_scan(path), path, overwrite=True)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_imagej
        assert tiff.series[0].shape == (3, 9, 11)


def test_an_ome_description_of_another_pixel_type_is_dropped(tmp_path):
    path = make("tiff-ome", tmp_path)
    write_scan(read_scan(path), path, float32=True, overwrite=True)
    with tifffile.TiffFile(path) as tiff:
        assert not tiff.is_ome
        assert tiff.series[0].dtype == np.float32


def test_a_description_that_is_not_ascii_is_dropped(path):
    tifffile.imwrite(path, COLOUR[..., 0], description="größer".encode(), metadata=None)
    scan = read_scan(path)
    write_scan(scan, path, overwrite=True)
    assert np.array_equal(read_scan(path).data, COLOUR[..., 0])


def test_grey_stored_as_rgb_becomes_grey_as_float(tmp_path):
    path = make("tiff-grey-as-rgb", tmp_path)
    scan = read_scan(path)
    write_scan(scan.with_data(scan.data + 0.25), path, float32=True, overwrite=True)
    assert np.array_equal(read_scan(path).data, (scan.data + 0.25).astype(np.float32))


def test_colour_is_refused(path):
    tifffile.imwrite(path, COLOUR, photometric="rgb", metadata=None)
    with pytest.raises(IntensityError, match="colour"):
        read_scan(path)
    Image.fromarray(COLOUR).quantize(8).save(path)
    with pytest.raises(IntensityError, match="palette"):
        read_scan(path)
    tifffile.imwrite(path, COLOUR[..., :2], photometric="minisblack", planarconfig="contig", metadata=None)
    with pytest.raises(IntensityError, match="samples"):
        read_scan(path)


def test_pages_of_two_sizes_are_refused(path):
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(values((9, 11), np.uint8), metadata=None)
        tiff.write(values((10, 11), np.uint8), metadata=None)
    with pytest.raises(ShapeError, match="different sizes"):
        read_scan(path)


def test_four_axes_are_refused(path):
    tifffile.imwrite(path, values((2, 3, 9, 11), np.uint8), imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(ShapeError, match="4 axes"):
        read_scan(path)
    with pytest.raises(OutputError, match="4 axes"):
        write_scan(from_array(values((9, 11, 3, 2), np.uint8)), path, overwrite=True)


def test_a_lost_last_page_is_noticed(tmp_path):
    path = make("tiff-pages", tmp_path)
    with tifffile.TiffFile(path) as tiff:
        last = tiff.pages[2].offset
    content = bytearray(path.read_bytes())
    path.write_bytes(content[:last])
    with pytest.raises(FormatError):
        read_scan(path)


def test_an_absurd_size_is_refused(tmp_path):
    path = make("tiff-deflate", tmp_path)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for page in tiff.pages:
            page.tags["ImageWidth"].overwrite(60000)
            page.tags["ImageLength"].overwrite(60000)
    with pytest.raises(FormatError, match="damaged"):
        read_scan(path)


def test_odd_tags_do_not_make_the_libraries_print(tmp_path, capfd):
    path = make("tiff-lzw", tmp_path)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags["ResolutionUnit"].overwrite(98)
    assert read_scan(path).data.shape == (3, 9, 11)
    assert capfd.readouterr() == ("", "")
    print("still heard", file=sys.stderr)
    assert capfd.readouterr().err == "still heard\n"


def test_a_compression_that_would_change_values_is_refused(path):
    image = Image.fromarray(values((9, 11), np.uint8))
    image.save(path, compression="tiff_lzw", tiffinfo={262: 0})
    with pytest.raises(FormatError, match=r"LZW.*save it uncompressed"):
        read_scan(path)


def test_a_resolution_that_is_no_fraction_is_left_out(tmp_path):
    pixels = np.arange(99, dtype=np.uint8).reshape(9, 11)
    tifffile.imwrite(tmp_path / "a.tif", pixels, resolution=((72, 1), (72, 1)), metadata=None)
    whole = (tmp_path / "a.tif").read_bytes()
    fraction = np.array([72, 1], "<u4").tobytes()
    assert whole.count(fraction) == 2
    (tmp_path / "a.tif").write_bytes(whole.replace(fraction, np.array([72, 0], "<u4").tobytes()))
    scan = read_scan(tmp_path / "a.tif")
    write_scan(scan, tmp_path / "b.tif")
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), pixels)
