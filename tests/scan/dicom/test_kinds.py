"""Phase and what is computed from images: left out with a reason, refused where named by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from diffdenoise.errors import FormatError
from diffdenoise.scan.dicom.series import find_series
from diffdenoise.scan.find import find_scans
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.write import write_scan

from .files import CT, DX, SECONDARY, dataset, pixels, read, save, slices
from .test_grouping import frames_file, stack

GE = {0x00430010: ("LO", "GEMS_PARM_01")}


def kind(*words: str) -> dict[str, Any]:
    return {"ImageType": ["ORIGINAL", "PRIMARY", *words]}


NOT_IMAGES: list[tuple[dict[str, Any], str]] = [
    (kind("P", "ND"), "phase image"),
    (kind("PHASE MAP", "P", "FFE"), "phase image"),
    (kind("R_IR", "R", "IR"), "real part"),
    (kind("IMAGINARY"), "imaginary part"),
    ({"ComplexImageComponent": "PHASE"}, "phase image"),
    ({"ComplexImageComponent": "REAL"}, "real part"),
    ({"private": 1}, "phase image"),
    ({"private": 3}, "imaginary part"),
    (kind("DIFFUSION", "ADC", "ND"), "diffusion map"),
    (kind("DIFFUSION", "FA", "ND"), "diffusion map"),
    (kind("M", "T1 MAP"), "computed map"),
    (kind("T2_STAR MAP", "T2_STAR"), "computed map"),
    (kind("PERFUSION", "TTP"), "perfusion map"),
    (kind("T-TEST"), "statistics map"),
    (kind("VELOCITY MAP", "V"), "velocity map"),
    (kind("M", "SE", "MIP"), "projection"),
    ({"VolumeBasedCalculationTechnique": "MAX_IP"}, "projection"),
    ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "screen save"),
    (kind("LOCALIZER"), "localiser"),
    ({"PixelPresentation": "COLOR"}, "colour image"),
    ({"sop_class": SECONDARY, "ConversionType": "WSD"}, "secondary capture"),
    ({"sop_class": SECONDARY, "modality": "OT", "ConversionType": "SYN"}, "secondary capture"),
    ({"modality": "SEG"}, "segmentation"),
]
IMAGES: list[dict[str, Any]] = [
    kind("M", "ND", "NORM"),
    kind("M_FFE", "M", "FFE"),
    kind("DIFFUSION", "TRACEW", "ND"),
    kind("W"),
    {"ComplexImageComponent": "MAGNITUDE"},
    {"private": 0},
    {"ImageType": ["DERIVED", "SECONDARY", "MPR"]},
    # Single letters say nothing of other modalities.
    {**kind("AXIAL", "P"), "sop_class": CT, "modality": "CT"},
    {"sop_class": SECONDARY, "modality": "CR", "ConversionType": "WSD"},
    {"sop_class": DX, "modality": "DX"},
]


def made_of(words: dict[str, Any], **more: Any) -> Dataset:
    words = {**words, **more}
    private = words.pop("private", None)
    made = dataset(pixels(1)[0], **words)
    if private is not None:
        made.add_new(0x00430010, "LO", "GEMS_PARM_01")
        made.add_new(0x0043102F, "SS", private)
    return made


@pytest.mark.parametrize(("words", "reason"), NOT_IMAGES, ids=str)
def test_what_is_no_image_is_passed_over_and_refused_by_itself(
    words: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    slices(tmp_path / "good", count=3)
    path = save(made_of(words, series="1.2.4"), tmp_path / "other")
    study = find_series([tmp_path])
    assert [len(one.sources) for one in study.series] == [3]
    assert study.skipped == {reason: 1}
    with pytest.raises(FormatError, match=f"not an image to denoise \\({reason}\\)"):
        read_scan(path)


@pytest.mark.parametrize("words", IMAGES, ids=str)
def test_images_are_not_passed_over(words: dict[str, Any], tmp_path: Path) -> None:
    save(made_of(words), tmp_path / "a")
    assert find_series([tmp_path]).skipped == {}


def test_what_may_be_a_screen_is_read_by_itself_but_passed_over_among_others(tmp_path: Path) -> None:
    path = save(dataset(pixels(1)[0], sop_class=SECONDARY, modality="OT"), tmp_path / "a")
    assert read_scan(path).data.shape == (12, 10)
    assert find_series([tmp_path]).skipped == {"secondary capture": 1}


def with_types(path: Path, types: list[str]) -> None:
    made = read(path)
    for frame, word in zip(made.PerFrameFunctionalGroupsSequence, types, strict=True):
        item = Dataset()
        item.FrameType, item.ComplexImageComponent = ["ORIGINAL", "PRIMARY", "M", "NONE"], word
        frame.MRImageFrameTypeSequence = [item]
    save(made, path)


def test_phase_frames_of_an_enhanced_file_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "in"
    values = frames_file(path, np.concatenate([stack(4)] * 2))
    with_types(path, ["MAGNITUDE", "PHASE"] * 4)
    (found,) = find_scans([path]).scans
    # Places 0 to 3 and again: the magnitudes lie at 0, 2, 0, 2.
    assert sorted(frame.number for volume in found.series.layout.frames for frame in volume) == [0, 2, 4, 6]
    assert find_scans([path]).skipped == {"frame: phase image": 4}
    scan = found.read()
    write_scan(scan.with_data(scan.data + 1), tmp_path / "out")
    assert np.array_equal(read(tmp_path / "out").pixel_array, values[::2] + 1)
    with_types(path, ["PHASE"] * 8)
    with pytest.raises(FormatError, match="phase image"):
        read_scan(path)
