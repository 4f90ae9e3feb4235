from __future__ import annotations

import gzip
import logging
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from diffdenoise.errors import FormatError, IntensityError, OutputError, ShapeError
from diffdenoise.scan.formats.nifti import from_nibabel, to_nibabel
from diffdenoise.scan.read import from_array, read_scan
from diffdenoise.scan.write import write_scan

from .files import AFFINE, FILES, make, nifti, values

NIFTI = [case for case in FILES if case.startswith("nifti")]


def _raw(path):
    content = path.read_bytes()
    return gzip.decompress(content) if path.name.lower().endswith(".gz") else content


@pytest.mark.parametrize("case", NIFTI)
def test_an_untouched_scan_is_written_back_byte_for_byte(case, tmp_path):
    path = make(case, tmp_path)
    write_scan(read_scan(path), tmp_path / f"b{path.name}")
    assert _raw(tmp_path / f"b{path.name}") == _raw(path)


def test_the_affine_and_codes_survive_other_values(tmp_path):
    path = make("nifti1-int16", tmp_path)
    scan = read_scan(path)
    write_scan(scan.with_data(scan.data * 0.5), path, overwrite=True)
    image = nib.load(path)
    assert np.array_equal(image.affine, AFFINE)
    assert np.array_equal(image.get_sform(), AFFINE)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 4)
    assert image.header["descrip"] == b"a description"
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert [each.get_content() for each in image.header.extensions] == [b"kept"]


def test_a_slope_is_applied_on_reading_and_undone_on_writing(tmp_path):
    path = make("nifti1-scaled", tmp_path)
    scan = read_scan(path)
    assert scan.data.dtype == np.float64
    assert scan.stored_dtype == np.int16
    header = nib.load(path).dataobj
    asked = scan.data.copy()
    asked.flat[:3] = [1e9, -1e9, -1024 + 0.37 * 41.4]
    write_scan(scan.with_data(asked), path, overwrite=True)
    proxy = nib.load(path).dataobj
    assert (proxy.slope, proxy.inter) == (header.slope, header.inter)
    assert np.asarray(proxy.get_unscaled()).flat[:3] == pytest.approx([32767, -32768, 41], abs=0)


def test_float32_is_written_with_slope_one(tmp_path):
    path = make("nifti1-scaled", tmp_path)
    scan = read_scan(path)
    write_scan(scan, path, float32=True, overwrite=True)
    header = nib.Nifti1Header.from_fileobj(path.open("rb"))
    assert header.get_slope_inter() == (1.0, 0.0)
    assert header.get_data_dtype() == np.float32


def test_class_and_byte_order_stay(tmp_path):
    path = make("nifti2-gz-big-endian", tmp_path)
    write_scan(read_scan(path), tmp_path / "b.nii.gz")
    image = nib.load(tmp_path / "b.nii.gz")
    assert type(image) is nib.Nifti2Image
    assert image.header.endianness == ">"


def test_gzip_can_be_added_and_left_out(tmp_path):
    scan = read_scan(make("nifti1-int16", tmp_path))
    write_scan(scan, tmp_path / "b.nii.gz")
    assert np.array_equal(read_scan(tmp_path / "b.nii.gz").data, scan.data)


def test_the_same_scan_gives_the_same_compressed_bytes(tmp_path):
    scan = read_scan(make("nifti1-int16", tmp_path))
    write_scan(scan, tmp_path / "b.nii.gz")
    write_scan(scan, tmp_path / "c.nii.gz")
    assert (tmp_path / "b.nii.gz").read_bytes() == (tmp_path / "c.nii.gz").read_bytes()


def test_voxel_sizes_and_the_slice_axis_come_from_the_header(tmp_path):
    path = tmp_path / "a.nii"
    image = nib.Nifti1Image(values((9, 11, 4, 2), np.int16), np.diag([2e-3, 2e-3, 4e-3, 1]))
    image.header.set_zooms((2e-3, 2e-3, 4e-3, 1.5))
    image.header.set_xyzt_units("meter", "sec")
    image.header.set_dim_info(1, 2, 0)
    image.to_filename(path)
    scan = read_scan(path)
    assert scan.spacing_mm == pytest.approx((2, 2, 4))
    assert scan.slice_axis == 0


@pytest.mark.parametrize("shape", [(9, 11, 1, 1, 3), (9, 11, 4, 2, 3), (9, 11, 3, 2, 1, 2)])
def test_five_real_axes_are_refused(shape, tmp_path):
    path = tmp_path / "a.nii"
    nifti(shape, np.int16)(path)
    with pytest.raises(ShapeError, match=f"has {len(shape)} axes .* expected 2 to 4"):
        read_scan(path)


def test_colour_and_complex_voxels_are_refused(tmp_path):
    rgb = np.zeros((9, 11, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.Nifti1Image(rgb, AFFINE).to_filename(tmp_path / "rgb.nii")
    nib.Nifti1Image(np.ones((9, 11, 4), np.complex64), AFFINE).to_filename(tmp_path / "complex.nii")
    with pytest.raises(IntensityError, match="colour"):
        read_scan(tmp_path / "rgb.nii")
    with pytest.raises(IntensityError, match="magnitude"):
        read_scan(tmp_path / "complex.nii")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("size", [32767, -5])
def test_an_absurd_size_is_refused_before_memory_is_taken(suffix, size, tmp_path):
    source = tmp_path / "source.nii"
    nifti((9, 11, 4), np.int16)(source)
    content = bytearray(source.read_bytes())
    content[42:48] = np.array([size] * 3, "<i2").tobytes()  # dim[1] to dim[3]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="damaged"):
            read_scan(path)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_a_damaged_gzip_checksum_is_noticed(tmp_path):
    path = make("nifti1-gz-uint8", tmp_path)
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    with pytest.raises(FormatError):
        read_scan(path)


def test_nibabel_may_log_again_after_reading(tmp_path):
    before = list(logging.getLogger("nibabel.global").handlers)
    read_scan(make("nifti1-int16", tmp_path))
    assert logging.getLogger("nibabel.global").handlers == before


@pytest.mark.parametrize("case", NIFTI)
def test_a_nibabel_image_gives_the_same_scan_as_its_file(case, tmp_path):
    path = make(case, tmp_path)
    scan, image = read_scan(path), nib.load(path)
    mine = from_nibabel(image)
    assert np.array_equal(mine.data, scan.data)
    assert mine.data.dtype == scan.data.dtype
    back = to_nibabel(mine)
    assert type(back) is type(image)
    assert back.shape == image.shape
    assert np.array_equal(back.affine, image.affine)
    assert np.array_equal(np.asanyarray(back.dataobj), scan.data.reshape(image.shape))
    assert back.get_data_dtype() == image.get_data_dtype()


def test_a_nibabel_image_in_memory_is_not_changed():
    data = values((9, 11, 4), np.float32)
    image = nib.Nifti1Image(data, AFFINE)
    back = to_nibabel(from_nibabel(image).with_data(data * 2))
    assert np.array_equal(np.asarray(back.dataobj), data * 2)
    assert np.array_equal(np.asarray(image.dataobj), data)


def test_another_kind_of_nibabel_image_is_refused():
    with pytest.raises(FormatError, match="MGHImage"):
        from_nibabel(nib.MGHImage(values((9, 11, 4), np.float32), AFFINE))


def test_an_array_becomes_a_nifti_file_without_made_up_geometry(tmp_path):
    data = values((9, 11, 4), np.int64)
    write_scan(from_array(data), tmp_path / "a.nii")
    image = nib.load(tmp_path / "a.nii")
    assert np.array_equal(np.asarray(image.dataobj), data)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (0, 0)


def test_a_dtype_without_a_nifti_code_is_refused(tmp_path):
    with pytest.raises(OutputError, match="float16"):
        write_scan(from_array(values((9, 11), np.float16)), tmp_path / "a.nii")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("slope", "fits"), [(1.0, True), (0.5, False)])
def test_real_values_count_where_a_small_file_unpacks_to_much(slope, fits, tmp_path):
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((512, 512, 80))
    header["scl_slope"], header["scl_inter"] = slope, 0
    header.set_data_offset(352)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(4 + 512 * 512 * 80)))
    if fits:
        assert read_scan(tmp_path / "a.nii.gz").data.shape == (512, 512, 80)
    else:
        with pytest.raises(FormatError, match=r"unpacks to 167,772,160 bytes, over the limit of 134,217,728"):
            read_scan(tmp_path / "a.nii.gz")
