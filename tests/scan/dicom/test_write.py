from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from diffdenoise.errors import OutputError, SettingsError
from diffdenoise.scan.dicom.derive import Derivation, checked_uid_root, derive
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.write import write_scan

from .files import CT, PET, dataset, enhanced, pixels, read, save, slices

#: What a derived image may have otherwise than its source, beside the pixels.
CHANGED = {
    "SOPInstanceUID", "SeriesInstanceUID", "InstanceCreationDate", "InstanceCreationTime", "SeriesNumber",
    "SeriesDescription", "ImageType", "DerivationDescription", "DerivationCodeSequence", "PixelData",
    "SourceImageSequence", "ContributingEquipmentSequence",
}  # fmt: skip


def by_position(folder: Path) -> list[Dataset]:
    """The files of a folder from top to bottom."""
    return sorted(
        (read(path) for path in folder.rglob("*") if path.is_file()),
        key=lambda one: one.ImagePositionPatient[2],
    )


def test_only_what_a_derivation_changes_is_changed(tmp_path):
    slices(tmp_path / "in", RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=40, WindowWidth=400)
    scan = read_scan(tmp_path / "in")
    write_scan(scan.with_data(scan.data + 2.0), tmp_path / "out")
    names = [sorted(path.name for path in (tmp_path / side).iterdir()) for side in ("in", "out")]
    assert names[0] == names[1]
    for path in (tmp_path / "in").iterdir():
        before, after = read(path), read(tmp_path / "out" / path.name)
        assert {e.keyword for e in after if e.keyword not in before or before[e.tag] != e} <= CHANGED
        assert {e.keyword for e in before if e.keyword not in after} == set()
        assert np.array_equal(after.pixel_array, before.pixel_array + 1)
        assert after.SourceImageSequence[0].ReferencedSOPInstanceUID == before.SOPInstanceUID
        assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID != before.SOPInstanceUID
        assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
        assert list(after.ImageType) == ["DERIVED", "PRIMARY", "M"]
        assert after.SeriesDescription == "CANARY t1 tse denoised"
        assert after.SeriesNumber == 1007
        assert "DiffDenoise" in after.DerivationDescription
        assert after.ContributingEquipmentSequence[0].Manufacturer == "DiffDenoise"
    assert len({read(path).SeriesInstanceUID for path in (tmp_path / "out").iterdir()}) == 1
    assert len({read(path).SOPInstanceUID for path in (tmp_path / "out").iterdir()}) == 5


def test_a_derived_series_reads_as_the_same_scan(tmp_path):
    slices(tmp_path / "in", RescaleSlope=0.5, RescaleIntercept=3)
    scan = read_scan(tmp_path / "in")
    write_scan(scan, tmp_path / "out")
    again = read_scan(tmp_path / "out")
    assert np.array_equal(again.data, scan.data)
    assert np.array_equal(again.affine, scan.affine)
    assert again.spacing_mm == scan.spacing_mm


def test_uids_are_random_or_reproducible_below_a_root(tmp_path):
    slices(tmp_path / "in", count=2)
    scan = read_scan(tmp_path / "in")
    found = {}
    for name, how in {
        "a": Derivation(fingerprint="x"),
        "b": Derivation(fingerprint="x"),
        "c": Derivation(fingerprint="x", uid_root="1.2.826.0.1"),
        "d": Derivation(fingerprint="x", uid_root="1.2.826.0.1"),
        "e": Derivation(fingerprint="y", uid_root="1.2.826.0.1"),
    }.items():
        write_scan(scan, tmp_path / name, derivation=how)
        found[name] = [(one.SeriesInstanceUID, one.SOPInstanceUID) for one in by_position(tmp_path / name)]
        assert all(uid.is_valid for pair in found[name] for uid in pair)
    assert found["a"][0][0].startswith("2.25.")
    assert found["c"][0][0].startswith("1.2.826.0.1.")
    assert found["c"] == found["d"]
    assert len({pairs[0] for pairs in found.values()}) == 4


@pytest.mark.parametrize("root", ["", "1", "abc", "1..2", "1.02", "1.2." + "3" * 50, "1.2; rm"])
def test_what_is_no_uid_root_is_refused(root):
    with pytest.raises(SettingsError, match="uid root"):
        checked_uid_root(root)
    assert checked_uid_root("1.2.826.0.1.") == "1.2.826.0.1"


def test_values_are_clipped_to_the_stored_bits_and_padding_is_kept(tmp_path):
    values = pixels(1, dtype=np.int16)[0]
    values[:2] = -2000
    made = dataset(
        values,
        sop_class=CT,
        modality="CT",
        PixelPaddingValue=-2000,
        BitsStored=12,
        HighBit=11,
        RescaleSlope=1,
        RescaleIntercept=-1024,
        SmallestImagePixelValue=0,
        LargestImagePixelValue=999,
    )
    save(made, tmp_path / "in")
    scan = read_scan(tmp_path / "in")
    wanted = scan.data.astype(float)
    wanted[4, :4] = [-1e9, 1e9, -2000 - 1024, 17 - 1024]
    write_scan(scan.with_data(wanted), tmp_path / "out")
    after = read(tmp_path / "out")
    found = after.pixel_array
    assert (found[:2] == -2000).all()
    # What would read as padding goes beside it.
    assert found[4, :4].tolist() == [-2048, 2047, -2001, 17]
    assert (after.SmallestImagePixelValue, after.LargestImagePixelValue) == (-2048, 2047)


def test_each_slice_is_stored_with_its_own_slope(tmp_path):
    values = pixels(3)
    for k, slope in enumerate([0.5, 1.25, 3.5]):
        made = dataset(
            values[k],
            sop_class=PET,
            modality="PT",
            RescaleSlope=slope,
            RescaleIntercept=0,
            ImagePositionPatient=[0, 0, 2.0 * k],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        )
        save(made, tmp_path / "in" / f"{k}")
    scan = read_scan(tmp_path / "in")
    write_scan(scan.with_data(scan.data + np.array([0.5, 1.25, 3.5])), tmp_path / "out")
    for before, after in zip(by_position(tmp_path / "in"), by_position(tmp_path / "out"), strict=True):
        assert np.array_equal(after.pixel_array, before.pixel_array + 1)
        assert after.RescaleSlope == before.RescaleSlope


def test_an_enhanced_file_stays_one(tmp_path):
    values = enhanced(
        tmp_path,
        PulseSequenceName="x",
        BulkMotionCompensationTechnique="NONE",
        CardiacRRIntervalSpecified=1.0,
    )
    scan = read_scan(tmp_path / "enhanced")
    write_scan(scan.with_data(scan.data + 4), tmp_path / "out")
    before, after = read(tmp_path / "enhanced"), read(tmp_path / "out")
    assert np.array_equal(after.pixel_array, values + 2)
    assert after.PerFrameFunctionalGroupsSequence == before.PerFrameFunctionalGroupsSequence
    shared = after.SharedFunctionalGroupsSequence[0]
    assert list(shared.MRImageFrameTypeSequence[0].FrameType) == ["DERIVED", "PRIMARY", "M", "FILTERED"]
    assert shared.PixelMeasuresSequence == before.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    for keyword in ("PulseSequenceName", "BulkMotionCompensationTechnique", "CardiacRRIntervalSpecified"):
        assert keyword not in after


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_other_syntaxes_are_written_as_little_endian(syntax, tmp_path):
    values = pixels(1)[0]
    made = dataset(values)
    words = np.arange(12, dtype=np.uint16)
    made.RedPaletteColorLookupTableData = words.astype(
        ">u2" if syntax == ExplicitVRBigEndian else "<u2"
    ).tobytes()
    if syntax == ExplicitVRBigEndian:
        made.PixelData = values.astype(">i2").tobytes()
    made.file_meta.TransferSyntaxUID = syntax
    made.save_as(
        tmp_path / "in",
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
        enforce_file_format=True,
    )
    scan = read_scan(tmp_path / "in")
    assert np.array_equal(scan.data, values)
    write_scan(scan.with_data(scan.data + 1), tmp_path / "out")
    after = read(tmp_path / "out")
    kept = syntax if syntax == ImplicitVRLittleEndian else "1.2.840.10008.1.2.1"
    assert after.file_meta.TransferSyntaxUID == kept
    assert np.array_equal(after.pixel_array, values + 1)
    assert after.RedPaletteColorLookupTableData == words.tobytes()
    assert after.PatientName == made.PatientName


@pytest.mark.parametrize("compression", ["jpeg-ls", "jpeg-2000"])
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint8])
def test_compressed_results_hold_the_same_values(compression, dtype, tmp_path):
    values = (pixels(1, 40, 48)[0] % 200).astype(dtype) - (100 if dtype == np.int16 else 0)
    scan = read_scan(save(dataset(values.astype(dtype)), tmp_path / "in"))
    write_scan(scan, tmp_path / "out", derivation=Derivation(compression=compression))
    after = read(tmp_path / "out")
    assert after.file_meta.TransferSyntaxUID.is_compressed
    assert np.array_equal(after.pixel_array, values)
    assert after.get("LossyImageCompression", "00") == "00"


def test_what_cannot_be_compressed_is_said(tmp_path):
    scan = read_scan(save(dataset(pixels(1)[0]), tmp_path / "in"))
    with pytest.raises(OutputError, match="can't be compressed as jpeg-2000"):
        write_scan(scan, tmp_path / "out", derivation=Derivation(compression="jpeg-2000"))
    assert not (tmp_path / "out").exists()


def test_lossy_sources_stay_marked_as_such(tmp_path):
    path = pydicom.data.get_testdata_file("JPEGLSNearLossless_16.dcm", download=False)
    made = read(path)
    for keyword in ("SeriesInstanceUID", "StudyInstanceUID"):
        setattr(made, keyword, "1.2.3")
    save(made, tmp_path / "in")
    write_scan(read_scan(tmp_path / "in"), tmp_path / "out")
    assert read(tmp_path / "out").LossyImageCompression == "01"


def test_private_elements_are_kept_or_dropped(tmp_path):
    made = dataset(pixels(1)[0])
    made.private_block(0x0029, "VENDOR", create=True).add_new(0x01, "LO", "secret")
    made.DigitalSignaturesSequence = [Dataset()]
    scan = read_scan(save(made, tmp_path / "in"))
    write_scan(scan, tmp_path / "kept")
    write_scan(scan, tmp_path / "dropped", derivation=Derivation(private="drop"))
    assert read(tmp_path / "kept")[0x0029, 0x1001].value == "secret"
    assert not [element for element in read(tmp_path / "dropped") if element.tag.is_private]
    # A signature over other pixels is no longer true.
    assert "DigitalSignaturesSequence" not in read(tmp_path / "kept")


def test_inputs_are_never_replaced(tmp_path):
    slices(tmp_path / "in", count=2)
    scan = read_scan(tmp_path / "in")
    before = {path: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    with pytest.raises(OutputError, match="is the input itself"):
        write_scan(scan, tmp_path / "in", overwrite=True)
    (tmp_path / "out").mkdir()
    for path in before:
        os.link(path, tmp_path / "out" / path.name)
    with pytest.raises(OutputError, match="is the input itself"):
        write_scan(scan, tmp_path / "out", overwrite=True)
    assert {path: path.read_bytes() for path in (tmp_path / "in").iterdir()} == before


def test_float_is_refused_and_other_sources_too(tmp_path):
    scan = read_scan(save(dataset(pixels(1)[0]), tmp_path / "in"))
    with pytest.raises(OutputError, match="integers only"):
        write_scan(scan, tmp_path / "out", float32=True)
    np.save(tmp_path / "a.npy", pixels(1)[0])
    with pytest.raises(OutputError, match="wrong suffix"):
        write_scan(read_scan(tmp_path / "a.npy"), tmp_path / "a.dcm")


def test_overlays_in_the_pixels_bits_become_elements_of_their_own(tmp_path):
    values = pixels(1, dtype=np.uint16)[0]
    marked = np.zeros(values.shape, bool)
    marked[2:5, 3:7] = True
    made = dataset(values | (marked.astype(np.uint16) << 12), BitsStored=12, HighBit=11)
    for element, vr, value in (
        (0x0010, "US", values.shape[0]),
        (0x0011, "US", values.shape[1]),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]),
        (0x0100, "US", 16),
        (0x0102, "US", 12),
    ):
        made.add_new((0x6000, element), vr, value)
    scan = read_scan(save(made, tmp_path / "in"))
    assert np.array_equal(scan.data, values)
    write_scan(scan, tmp_path / "out")
    after = read(tmp_path / "out")
    assert np.array_equal(after.overlay_array(0x6000).astype(bool), marked)
    assert np.array_equal(after.pixel_array, values)


@pytest.mark.parametrize("private", ["keep", "drop"])
def test_damaged_elements_are_carried_over_as_they_are(private, tmp_path):
    path = save(dataset(pixels(1)[0]), tmp_path / "in")
    # A name that claims to be a double, but isn't: to decode it fails.
    path.write_bytes(path.read_bytes().replace(b"\x10\x00\x10\x00PN", b"\x10\x00\x10\x00FD"))
    write_scan(read_scan(path), tmp_path / "out", derivation=Derivation(private=private))
    assert b"CANARY^NAME" in (tmp_path / "out").read_bytes()


def test_what_a_library_says_of_an_element_is_not_repeated(tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("with value CANARY^NAME")

    scan = read_scan(save(dataset(pixels(1)[0]), tmp_path / "in"))
    monkeypatch.setattr("diffdenoise.scan.dicom.write.derive", fail)
    with pytest.raises(OutputError, match="can't be written") as caught:
        write_scan(scan, tmp_path / "out")
    assert "CANARY" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert not (tmp_path / "out").exists()


def test_a_range_of_padding_is_kept_and_kept_clear_of(tmp_path):
    values = pixels(1, dtype=np.int16)[0]
    values[:2], values[2] = -2000, -1995
    made = dataset(values, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990)
    scan = read_scan(save(made, tmp_path / "in"))
    wanted = scan.data.astype(float)
    wanted[5, :3] = [-1999, -1991, -1995]
    write_scan(scan.with_data(wanted), tmp_path / "out")
    found = read(tmp_path / "out").pixel_array
    assert np.array_equal(found[:3], values[:3])
    assert found[5, :3].tolist() == [-2001, -1989, -2001]


def test_series_extremes_too_large_for_16_bits_are_left_out(tmp_path):
    values = pixels(1, dtype=np.uint32)[0] * 1000
    made = dataset(values, SmallestImagePixelValue=0, LargestImagePixelValue=65535)
    scan = read_scan(save(made, tmp_path / "in"))
    write_scan(scan, tmp_path / "out")
    after = read(tmp_path / "out")
    assert "LargestImagePixelValue" not in after
    assert np.array_equal(after.pixel_array, values)


def test_different_pixels_never_share_a_uid(tmp_path):
    scan = read_scan(save(dataset(pixels(1)[0]), tmp_path / "in"))
    how = Derivation(uid_root="1.2.826.0.1", fingerprint="x")
    for name, change in (("a", 0), ("b", 0), ("c", 1)):
        write_scan(scan.with_data(scan.data + change), tmp_path / name, derivation=how)
    uids = [read(tmp_path / name).SOPInstanceUID for name in "abc"]
    assert uids[0] == uids[1] != uids[2]


def test_what_was_left_as_it_was_is_not_called_denoised():
    made = dataset(pixels(1, 12, 14)[0], SeriesDescription="t1")
    derive(made, Derivation().unchanged(), b"pixels")
    assert made.SeriesDescription == "t1 unchanged"
    assert made.DerivationDescription.startswith("Left unchanged by DiffDenoise")
    assert "DerivationCodeSequence" not in made
