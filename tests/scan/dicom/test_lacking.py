"""Files without a meta header, SOP class or UIDs: read by what they hold, and what is derived has them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from diffdenoise.errors import FormatError, OutputError
from diffdenoise.scan.dicom.derive import Derivation
from diffdenoise.scan.dicom.series import find_series
from diffdenoise.scan.find import find_scans
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.write import write_scan

from .files import bare, dataset, pixels, read, save, slices

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
UIDS = ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"]


@pytest.mark.parametrize("kept", [0, 128 + 4])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_files_without_a_meta_header_are_read(syntax: UID, kept: int, tmp_path: Path) -> None:
    values = pixels(1)[0]
    made = dataset(values)
    if not syntax.is_little_endian:
        made.PixelData = values.astype(">i2").tobytes()
    made.file_meta.TransferSyntaxUID = syntax
    made.save_as(
        tmp_path / "in",
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
        enforce_file_format=True,
    )
    bare(tmp_path / "in", kept)
    scan = read_scan(tmp_path / "in")
    assert np.array_equal(scan.data, values)
    write_scan(scan.with_data(scan.data + 1), tmp_path / "out")
    after = read(tmp_path / "out")
    assert np.array_equal(after.pixel_array, values + 1)
    assert after.file_meta.TransferSyntaxUID.is_little_endian


@pytest.mark.parametrize(
    "name",
    ["MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "JPEG-lossy.dcm", "JPGExtended.dcm"],
)
def test_compression_is_told_by_the_first_frame(name: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes((FILES / name).read_bytes())
    bare(tmp_path / "a")
    assert np.array_equal(read_scan(tmp_path / "a").data, read_scan(FILES / name).data)


def test_a_compression_that_cannot_be_told_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes((FILES / "MR_small_RLE.dcm").read_bytes())
    bare(tmp_path / "a")
    with pytest.raises(FormatError, match="doesn't say how its pixels are compressed"):
        read_scan(tmp_path / "a")


@pytest.mark.parametrize("lacking", [*([one] for one in UIDS), UIDS])
def test_a_series_without_uids_is_grouped_and_gets_new_ones(lacking: list[str], tmp_path: Path) -> None:
    # Of images that are alike.
    values = slices(tmp_path / "in", values=np.repeat(pixels(1), 5, 0), **dict.fromkeys(lacking))
    for path in (tmp_path / "in").iterdir():
        bare(path)
    (found,) = find_scans([tmp_path / "in"]).scans
    scan = found.read()
    assert np.array_equal(scan.data, values.transpose(2, 1, 0))
    write_scan(scan.with_data(scan.data + 1), tmp_path / "out")
    written = [read(path) for path in sorted((tmp_path / "out").iterdir())]
    sources = [read_bare(path) for path in sorted((tmp_path / "in").iterdir())]
    for keyword in UIDS:
        given = [source.get(keyword) for source in sources]
        uids = [one[keyword].value for one in written]
        assert all(UID(uid).is_valid for uid in uids)
        assert len(set(uids)) == (5 if keyword == "SOPInstanceUID" else 1)
        # What was there and isn't the derivation's own stays.
        if keyword not in ("SOPInstanceUID", "SeriesInstanceUID") and given[0]:
            assert uids == given
    assert all(("SourceImageSequence" in one) == ("SOPInstanceUID" not in lacking) for one in written)
    assert np.array_equal(read_scan(tmp_path / "out").data, scan.data + 1)


def read_bare(path: Path) -> Any:
    return pydicom.dcmread(path, force=True)


def test_series_without_uids_are_told_apart_by_what_is_said_of_them(tmp_path: Path) -> None:
    for folder, changes in {
        "a": {},
        "b": {"SeriesNumber": 8},
        "c": {"SeriesDescription": "t2"},
        "d": {"PatientID": "2"},
    }.items():
        slices(tmp_path / "in" / folder, count=3, SeriesInstanceUID=None, StudyInstanceUID=None, **changes)
    for path in [path for path in (tmp_path / "in").rglob("*") if path.is_file()]:
        # In one folder.
        path.rename(tmp_path / "in" / f"{path.parent.name}-{path.name}")
    study = find_series([tmp_path / "in"])
    assert [one.shape for one in study.series] == [(10, 12, 3)] * 4
    how = Derivation()
    for found in find_scans([tmp_path / "in"]).scans:
        write_scan(found.read(), tmp_path / "out", derivation=how)
    written = {path.name: read(path) for path in (tmp_path / "out").iterdir()}
    of_series = {name[0]: one.SeriesInstanceUID for name, one in written.items()}
    of_study = {name[0]: one.StudyInstanceUID for name, one in written.items()}
    assert len({one.SeriesInstanceUID for one in written.values()}) == len(set(of_series.values())) == 4
    assert of_study["a"] == of_study["b"] == of_study["c"] != of_study["d"]


def test_folders_without_any_identity_are_studies_of_their_own(tmp_path: Path) -> None:
    nothing = (
        *UIDS, "PatientID", "PatientName", "StudyDate", "StudyTime", "AccessionNumber", "StudyID",
        "SeriesNumber", "SeriesDescription", "InstanceNumber",
    )  # fmt: skip
    for folder in "ab":
        slices(tmp_path / "in" / folder, count=3)
        for path in (tmp_path / "in" / folder).iterdir():
            made = read(path)
            for keyword in nothing:
                delattr(made, keyword)
            save_bare(made, path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in sorted((tmp_path / "in").rglob("IM*")):
            archive.write(path, path.relative_to(tmp_path / "in").as_posix())
    for place in (tmp_path / "in", tmp_path / "a.zip"):
        found = find_scans([place]).scans
        assert [one.series.shape for one in found] == [(10, 12, 3)] * 2
    how = Derivation()
    for one in found:
        write_scan(one.read(), tmp_path / "out", derivation=how)
    written = [read(path) for path in (tmp_path / "out").rglob("IM*")]
    assert (
        len({one.StudyInstanceUID for one in written}) == len({one.SeriesInstanceUID for one in written}) == 2
    )


def save_bare(made: Any, path: Path) -> None:
    made.SOPInstanceUID = "1.2.3"
    save(made, path)
    bare(path)
    # Without it from here on.
    again = read_bare(path)
    del again.SOPInstanceUID
    again.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=False)


def test_the_sop_class_is_told_by_the_modality_or_nothing_is_derived(tmp_path: Path) -> None:
    for modality, name in (("MR", "a"), ("OT", "b")):
        save(dataset(pixels(1)[0], modality=modality), tmp_path / name)
        bare(tmp_path / name)
        made = read_bare(tmp_path / name)
        del made.SOPClassUID
        made.save_as(tmp_path / name, implicit_vr=False, little_endian=True, enforce_file_format=False)
    write_scan(read_scan(tmp_path / "a"), tmp_path / "out")
    assert read(tmp_path / "out").SOPClassUID.name == "MR Image Storage"
    with pytest.raises(OutputError, match="lacks SOPClassUID"):
        write_scan(read_scan(tmp_path / "b"), tmp_path / "out2")
