from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.fileset import FileSet
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from diffdenoise.errors import FormatError, InputError, ShapeError
from diffdenoise.scan.dicom.codestream import Stated, stated_by
from diffdenoise.scan.dicom.read import read_series
from diffdenoise.scan.dicom.series import find_series
from diffdenoise.scan.find import find_scans
from diffdenoise.scan.read import read_scan

from .files import CT, DX, NORMAL, ORIENTATION, PET, SEGMENTATION, dataset, enhanced, pixels, save, slices


def data_of(folder: Path) -> np.ndarray:
    return read_scan(folder).data


def test_slices_are_sorted_by_position_not_by_name_or_number(tmp_path):
    values = slices(tmp_path)
    scan = read_scan(tmp_path)
    assert scan.data.shape == (10, 12, 5)
    assert np.array_equal(scan.data, values.transpose(2, 1, 0))
    assert scan.spacing_mm == pytest.approx((0.5, 0.75, 3.0))
    assert scan.slice_axis == 2
    assert scan.format == "dicom"


def test_the_affine_is_that_of_the_standard_in_ras(tmp_path):
    slices(tmp_path)
    affine = read_scan(tmp_path).affine
    for voxel in ((0, 0, 0), (3, 0, 0), (0, 4, 0), (1, 2, 3)):
        # PS3.3, equation C.7.6.2.1-1: columns step along the row direction by the second spacing.
        lps = np.array([-20.0, 10.0, 5.0])
        lps = lps + voxel[0] * 0.5 * np.array(ORIENTATION[:3]) + voxel[1] * 0.75 * np.array(ORIENTATION[3:])
        lps = lps + voxel[2] * 3.0 * NORMAL
        assert affine @ [*voxel, 1] == pytest.approx([-lps[0], -lps[1], lps[2], 1], abs=1e-4)


def test_values_are_rescaled_and_signed(tmp_path):
    values = slices(tmp_path, sop_class=CT, modality="CT", RescaleSlope=1, RescaleIntercept=-1024)
    scan = read_scan(tmp_path)
    assert scan.data.dtype == np.int32
    assert np.array_equal(scan.data, values.transpose(2, 1, 0).astype(int) - 1024)


def test_each_slice_has_its_own_slope(tmp_path):
    values = pixels(4)
    slopes = [0.5, 1.25, 2.0, 3.5]
    for k, slope in enumerate(slopes):
        place = [0.0, 0.0, 2.0 * k]
        made = dataset(
            values[k],
            sop_class=PET,
            modality="PT",
            RescaleSlope=slope,
            RescaleIntercept=0,
            ImagePositionPatient=place,
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        )
        save(made, tmp_path / f"{k}.dcm")
    expected = values.transpose(2, 1, 0) * np.array(slopes, np.float32)
    assert np.allclose(data_of(tmp_path), expected)


def test_bits_beyond_the_stored_ones_are_cut_off(tmp_path):
    dirty = pixels(1, dtype=np.uint16)[0]
    made = dataset(dirty | np.uint16(0xF000), BitsStored=12, HighBit=11)
    assert np.array_equal(read_scan(save(made, tmp_path / "a")).data, dirty)
    signed = (dirty.astype(np.int16) - 500) & np.int16(0x0FFF)
    made = dataset(signed.astype(np.uint16), BitsStored=12, HighBit=11, PixelRepresentation=1)
    assert np.array_equal(read_scan(save(made, tmp_path / "b")).data, dirty.astype(int) - 500)


def test_padding_gets_the_least_value_of_the_image(tmp_path):
    values = pixels(1)[0]
    values[:3] = -2000
    made = dataset(values, PixelPaddingValue=-2000, RescaleSlope=1, RescaleIntercept=-1000)
    scan = read_scan(save(made, tmp_path / "a"))
    assert scan.data.min() == values[3:].min() - 1000
    assert (scan.data[:3] == scan.data.min()).all()


def test_a_time_series_is_4d(tmp_path):
    values = pixels(12).reshape(3, 4, 12, 10)
    for t in range(3):
        for k in range(4):
            made = dataset(
                values[t, k],
                ImagePositionPatient=[0, 0, 5.0 * k],
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                TemporalPositionIdentifier=t + 1,
            )
            # Numbered slice by slice, not volume by volume.
            made.InstanceNumber = 3 * k + t
            save(made, tmp_path / f"{(7 * (4 * t + k)) % 12}")
    scan = read_scan(tmp_path)
    assert scan.data.shape == (10, 12, 4, 3)
    assert np.array_equal(scan.data, values.transpose(3, 2, 1, 0))


def test_echoes_are_volumes_in_order_and_water_is_a_series_of_its_own(tmp_path):
    values = pixels(6)
    for number, (echo, kind) in enumerate([(40, "M"), (20, "M"), (20, "W")]):
        for k in range(2):
            made = dataset(
                values[2 * number + k],
                ImagePositionPatient=[0, 0, 5.0 * k],
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                EchoTime=echo,
            )
            made.ImageType = ["ORIGINAL", "PRIMARY", kind]
            save(made, tmp_path / f"{number}-{k}")
    study = find_series([tmp_path])
    shapes = [one.shape for one in study.series]
    assert sorted(shapes) == [(10, 12, 2), (10, 12, 2, 2)]
    echoes = read_series(next(one for one in study.series if len(one.shape) == 4), "x").data
    assert np.array_equal(echoes[..., 0], values[2:4].transpose(2, 1, 0))
    assert np.array_equal(echoes[..., 1], values[0:2].transpose(2, 1, 0))


def test_an_enhanced_file_is_a_volume_by_position(tmp_path):
    values = enhanced(tmp_path)
    scan = read_scan(tmp_path / "enhanced")
    # Its frames run against the normal.
    assert np.array_equal(scan.data, values[::-1].transpose(2, 1, 0).astype(np.float32) * 2 - 100)
    assert scan.affine is not None
    assert scan.spacing_mm == pytest.approx((0.5, 0.75, 3.0))


def test_a_cine_without_positions_keeps_its_order(tmp_path):
    values = pixels(6)
    made = dataset(values, modality="XA", sop_class="1.2.840.10008.5.1.4.1.1.12.1", NumberOfFrames=6)
    assert np.array_equal(read_scan(save(made, tmp_path / "a")).data, values.transpose(2, 1, 0))


def test_a_single_image_is_rows_by_columns(tmp_path):
    values = pixels(1)[0]
    scan = read_scan(save(dataset(values, sop_class=DX, modality="DX"), tmp_path / "a"))
    assert np.array_equal(scan.data, values)
    assert scan.spacing_mm == pytest.approx((0.75, 0.5))


def test_series_are_told_apart_and_what_is_no_image_is_passed_over(tmp_path):
    slices(tmp_path / "a", series="1.2.3")
    slices(tmp_path / "b", count=3, series="1.2.4", SeriesNumber=2)
    save(dataset(pixels(1)[0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), tmp_path / "localiser")
    save(dataset(pixels(1)[0], sop_class=SEGMENTATION), tmp_path / "segmentation")
    colour = dataset(
        np.zeros((12, 10, 3), np.uint8),
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        Rows=12,
        Columns=10,
    )
    save(colour, tmp_path / "colour")
    report = dataset(pixels(1)[0], modality="SR", Rows=None, Columns=None, PixelData=None)
    save(report, tmp_path / "report")
    (tmp_path / "truncated").write_bytes((tmp_path / "a" / "IM0000").read_bytes()[:200])
    (tmp_path / "notes.txt").write_text("none")
    study = find_series([tmp_path])
    assert [(one.header.series_uid, len(one.sources)) for one in study.series] == [("1.2.4", 3), ("1.2.3", 5)]
    assert study.skipped["localiser"] == study.skipped["segmentation"] == study.skipped["colour image"] == 1
    assert sum(study.skipped.values()) == 5
    only = find_scans([tmp_path], "1.2.4").scans
    assert [one.series.header.series_uid for one in only] == ["1.2.4"]
    with pytest.raises(InputError, match="is not among the 2 found"):
        find_scans([tmp_path], "1.9")


def test_a_copy_of_a_file_is_taken_once(tmp_path):
    values = slices(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    study = find_series([tmp_path])
    assert study.skipped == {"copy of another file": 5}
    assert study.series[0].shape == values.transpose(2, 1, 0).shape


def test_mixed_orientations_and_sizes_are_series_of_their_own(tmp_path):
    slices(tmp_path / "a")
    slices(tmp_path / "b", values=pixels(5, 14, 10))
    for k in range(3):
        made = dataset(
            pixels(1)[0], ImagePositionPatient=[2.0 * k, 0, 0], ImageOrientationPatient=[0, 1, 0, 0, 0, -1]
        )
        save(made, tmp_path / f"sagittal{k}")
    assert sorted(one.shape for one in find_series([tmp_path]).series) == [
        (10, 12, 3),
        (10, 12, 5),
        (10, 14, 5),
    ]


@pytest.mark.parametrize(("missing", "notice"), [([2], "some may be missing"), ([], ""), ([1, 3], "")])
def test_missing_slices_are_said(missing, notice, tmp_path):
    slices(tmp_path / "all")
    for path in (tmp_path / "all").iterdir():
        made = pydicom.dcmread(path)
        place = round(
            (float(np.dot(made.ImagePositionPatient, NORMAL)) - float(np.dot([-20, 10, 5], NORMAL))) / 3
        )
        if place not in missing:
            save(made, tmp_path / "some" / path.name)
    (series,) = find_series([tmp_path / "some"]).series
    assert series.shape[2] == 5 - len(missing)
    # Every other slice missing is a larger step.
    assert ("".join(series.layout.notices) == "") == (notice == "")
    assert notice in "".join(series.layout.notices)
    assert (read_series(series, "x").affine is None) == bool(notice)


def test_duplicate_positions_are_said(tmp_path):
    slices(tmp_path / "a")
    path = next((tmp_path / "a").iterdir())
    again = pydicom.dcmread(path)
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    save(again, tmp_path / "a" / "again")
    (series,) = find_series([tmp_path / "a"]).series
    # One by one: no image is taken for the neighbour in space of another.
    assert series.shape == (10, 12, 1, 6)
    assert "5 positions hold 1 to 2 images" in series.layout.notices[0]


def test_a_gantry_tilt_is_kept_and_said(tmp_path):
    tilt = np.deg2rad(15)
    step = np.array([0, 3 * np.sin(tilt), 3 * np.cos(tilt)])
    for k in range(4):
        place = [round(float(each), 5) for each in k * step]
        save(
            dataset(pixels(1)[0], ImagePositionPatient=place, ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
            tmp_path / f"{k}",
        )
    (series,) = find_series([tmp_path]).series
    assert "sheared by 15 degrees" in series.layout.notices[0]
    affine = read_series(series, "x").affine
    assert affine[:3, 2] == pytest.approx([0, -step[1], step[2]], abs=1e-4)


def test_a_zip_is_read_without_unpacking(tmp_path):
    values = slices(tmp_path / "a")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (tmp_path / "a").iterdir():
            archive.write(path, f"study/{path.name}")
        archive.writestr("notes.txt", "none")
    before = sorted(tmp_path.rglob("*"))
    assert np.array_equal(data_of(tmp_path / "a.zip"), values.transpose(2, 1, 0))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["../evil.dcm", "/evil.dcm", "a/../../evil.dcm", "..\\evil.dcm", "C:/evil.dcm"]
)
def test_a_zip_with_names_that_point_outside_is_refused(name, tmp_path):
    path = save(dataset(pixels(1)[0]), tmp_path / "a")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), path.read_bytes())
    with pytest.raises(FormatError, match="points outside"):
        find_series([tmp_path / "a.zip"])


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a", "w") as member,
    ):
        for _ in range(300):
            member.write(bytes(2**20))
    with pytest.raises(FormatError, match="over the limit of 134,217,728"):
        find_series([tmp_path / "a.zip"])


def test_a_damaged_zip_is_refused(tmp_path):
    slices(tmp_path / "a", count=2)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in (tmp_path / "a").iterdir():
            archive.write(path, path.name)
    whole = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="damaged zip"):
        find_series([tmp_path / "a.zip"])


def dicomdir(tmp_path: Path) -> tuple[Path, np.ndarray]:
    values = slices(tmp_path / "a")
    files = FileSet()
    for path in (tmp_path / "a").iterdir():
        files.add(path)
    files.write(tmp_path / "disc")
    return tmp_path / "disc" / "DICOMDIR", values


def test_a_dicomdir_names_its_files(tmp_path):
    path, values = dicomdir(tmp_path)
    save(dataset(pixels(1)[0], series="1.5"), path.parent / "not-listed")
    assert np.array_equal(data_of(path), values.transpose(2, 1, 0))


def test_a_dicomdir_with_missing_files_is_said(tmp_path):
    path, _ = dicomdir(tmp_path)
    next(each for each in path.parent.rglob("*") if each.is_file() and each != path).unlink()
    with pytest.raises(InputError, match="names a file that is missing"):
        find_series([path])


def test_a_dicomdir_that_points_outside_is_refused(tmp_path):
    path, _ = dicomdir(tmp_path)
    made = pydicom.dcmread(path)
    record = next(each for each in made.DirectoryRecordSequence if "ReferencedFileID" in each)
    record.ReferencedFileID = ["..", "..", "secret"]
    made.save_as(path)
    with pytest.raises(FormatError, match="outside its folder"):
        find_series([path])


def test_links_do_not_loop(tmp_path):
    values = slices(tmp_path / "a")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    assert np.array_equal(data_of(tmp_path / "a"), values.transpose(2, 1, 0))


def test_absurd_sizes_are_refused_before_memory_is_asked_for(tmp_path):
    made = dataset(pixels(1)[0])
    made.Rows, made.Columns, made.NumberOfFrames = 65535, 65535, 1000
    with pytest.raises(FormatError, match=r"it states .* bytes of pixels"):
        read_scan(save(made, tmp_path / "a"))


def test_frames_at_one_place_are_points_in_time(tmp_path):
    for k in range(5):
        made = dataset(
            pixels(5)[k], ImagePositionPatient=[0, 0, 0], ImageOrientationPatient=[1, 0, 0, 0, 1, 0]
        )
        made.InstanceNumber = 5 - k
        save(made, tmp_path / f"{k}")
    scan = read_scan(tmp_path)
    assert scan.data.shape == (10, 12, 1, 5)
    assert np.array_equal(scan.data[:, :, 0], pixels(5)[::-1].transpose(2, 1, 0))


def test_mosaics_have_no_place_in_space(tmp_path):
    for k in range(3):
        made = dataset(
            pixels(1)[0], ImagePositionPatient=[0, 0, 0], ImageOrientationPatient=[1, 0, 0, 0, 1, 0]
        )
        made.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
        save(made, tmp_path / f"{k}")
    (series,) = find_series([tmp_path]).series
    assert "mosaics" in series.layout.notices[0]
    assert read_series(series, "x").affine is None


def test_files_that_share_a_uid_but_not_a_place_are_all_read(tmp_path):
    for k in range(3):
        made = dataset(
            pixels(3)[k], ImagePositionPatient=[0, 0, 2.0 * k], ImageOrientationPatient=[1, 0, 0, 0, 1, 0]
        )
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
        save(made, tmp_path / f"{k}")
    assert read_scan(tmp_path).data.shape == (10, 12, 3)


def test_a_deflated_bomb_is_refused(tmp_path):
    made = dataset(pixels(1)[0])
    made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    save(made, tmp_path / "a")
    assert read_scan(tmp_path / "a").data.shape == (12, 10)
    head = (tmp_path / "a").read_bytes()
    end = 144 + int.from_bytes(head[140:144], "little")
    pack = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = b"".join([*(pack.compress(bytes(2**24)) for _ in range(17)), pack.flush()])
    (tmp_path / "a").write_bytes(head[:end] + bomb)
    with pytest.raises(FormatError, match="over the limit of 67,108,864"):
        read_scan(tmp_path / "a")


@pytest.mark.parametrize("way", ["long meta", "no preamble", "wrong length", "not by name"])
def test_a_deflated_bomb_is_refused_however_its_header_is_made(way, tmp_path):
    made = dataset(pixels(1)[0])
    made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    if way == "long meta":
        made.file_meta.PrivateInformationCreatorUID = "1.2.3"
        made.file_meta.PrivateInformation = bytes(5000)
    save(made, tmp_path / "a")
    head = (tmp_path / "a").read_bytes()
    end = 144 + int.from_bytes(head[140:144], "little")
    pack = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = b"".join([*(pack.compress(bytes(2**24)) for _ in range(5)), pack.flush()])
    start = {"wrong length": head[:140] + bytes(4) + head[144:end], "no preamble": head[132:end]}
    (tmp_path / "a").write_bytes(start.get(way, head[:end]) + bomb)
    with pytest.raises(FormatError, match="over the limit of 67,108,864"):
        read_scan(tmp_path / "a")


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, RLELossless])
@pytest.mark.parametrize("change", [{"Rows": 20}, {"Columns": 24}, {"BitsAllocated": 8, "BitsStored": 8}])
def test_a_codestream_of_another_size_than_the_header_is_refused_undecoded(syntax, change, tmp_path):
    made = dataset(pixels(1, 40, 48, dtype=np.uint16)[0])
    made.compress(syntax, generate_instance_uid=False)
    for keyword, value in change.items():
        setattr(made, keyword, value)
    if "BitsStored" in change:
        made.HighBit = 7
    save(made, tmp_path / "a")
    with pytest.raises(FormatError, match="is damaged: a compressed frame"):
        read_scan(tmp_path / "a")


def test_a_frame_header_further_on_counts_too():
    frame = "ffc0 000b 08 {} 01 01 11 00"
    both = [frame.format("0028 0030"), frame.format("ffff ffff")]
    jpeg = bytes.fromhex(f"ffd8 ffe0 0004 0000 {both[0]} {both[1]} ffda")
    assert list(stated_by(jpeg)) == [
        Stated(40, 48, 1, 8),
        Stated(65535, 65535, 1, 8),
    ]
    # Fill bytes before a marker are allowed (ITU-T T.81, B.1.1.2).
    assert list(stated_by(jpeg[:2] + b"\xff" + jpeg[2:23] + b"\xff\xda")) == [Stated(40, 48, 1, 8)]


def test_a_folder_of_dicom_and_other_images_is_refused_by_name(tmp_path):
    slices(tmp_path / "dicom")
    (tmp_path / "notes.txt").write_text("none")
    assert read_scan(tmp_path).data.shape == (10, 12, 5)
    for name in "edcba":
        np.save(tmp_path / f"{name}.npy", pixels(1)[0])
    with pytest.raises(
        InputError, match=r"holds DICOM and 5 other images \(a.npy, b.npy, c.npy, d.npy, 1 more\)"
    ):
        read_scan(tmp_path)
    for name in "edcba":
        (tmp_path / f"{name}.npy").unlink()
    slices(tmp_path / "more", series="1.2.4", SeriesNumber=9)
    with pytest.raises(ShapeError, match=r"holds 2 series \(series 7 .*; series 9 .*\); expected one"):
        read_scan(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.dcm")
    with pytest.raises(InputError, match="not a regular file"):
        find_scans([tmp_path / "a.dcm"]).scans[0].read()


@pytest.mark.parametrize(
    ("keyword", "value"), [("HighBit", 40), ("HighBit", 2), ("NumberOfFrames", 900_000), ("BitsStored", 99)]
)
def test_headers_that_contradict_themselves_are_refused(keyword, value, tmp_path):
    with pytest.raises(FormatError):
        read_scan(save(dataset(pixels(1)[0], **{keyword: value}), tmp_path / "a"))
