"""The awkward files that come with pydicom (MIT licence): read rightly, or refused in one line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from diffdenoise.errors import DiffDenoiseError, FormatError
from diffdenoise.scan.dicom import jpeg_extended
from diffdenoise.scan.read import read_scan

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
#: pydicom has no such file.
HTJ2K_COPY = Path(__file__).parent.parent / "data" / "MR_small_htj2k.dcm"
#: Greyscale images, by their shape, and those that can't be read, by the reason.
IMAGES = {
    "693_J2KI.dcm": (512, 512),
    "CT_small.dcm": (128, 128),
    "J2K_pixelrep_mismatch.dcm": (512, 512),
    "JPEG-lossy.dcm": (1024, 256),
    # Its fragments are cut where a delimiter seems to be; pydicom doesn't decode it either.
    "JPEG2000-embedded-sequence-delimiter.dcm": "is damaged: a compressed frame is of",
    "JPEG2000.dcm": (1024, 256),
    "JPEGLSNearLossless_08.dcm": (45, 10),
    "JPEGLSNearLossless_16.dcm": (50, 10),
    "JPGExtended.dcm": (1024, 256),
    "MR_small.dcm": (64, 64),
    "MR_small_RLE.dcm": (64, 64),
    "MR_small_bigendian.dcm": (64, 64),
    "MR_small_expb.dcm": (64, 64),
    "MR_small_implicit.dcm": (64, 64),
    "MR_small_jp2klossless.dcm": (64, 64),
    "MR_small_jpeg_ls_lossless.dcm": (64, 64),
    # Holds more bytes than the image needs.
    "MR_small_padded.dcm": (64, 64),
    "MR_truncated.dcm": "damaged or cut short",
    "examples_overlay.dcm": (300, 484),
    "image_dfl.dcm": (512, 512),
    # One byte too many at the start.
    "no_meta.dcm": "is not DICOM or is damaged",
    # NumberOfFrames is no number; a dose all the same.
    "badVR.dcm": "dose",
}
#: Everything else is DICOM without a greyscale image.
OTHERS = {
    "SC_": "colour image",
    "examples_": "colour image",
    "GDCMJ2K_TextGBR": "colour image",
    "ExplVR_BigEnd.dcm": "colour image",
    "liver": "segmentation",
    "rtdose": "dose",
}


@pytest.mark.parametrize("path", sorted(FILES.glob("*.dcm")), ids=lambda path: path.name)
def test_awkward_files_are_read_or_refused_in_one_line(path, capfd):
    expected = IMAGES.get(path.name) or next(
        (reason for start, reason in OTHERS.items() if path.name.startswith(start)), "not an image"
    )
    if isinstance(expected, tuple):
        scan = read_scan(path)
        assert scan.data.shape == expected
        assert np.isfinite(scan.data).all()
        assert scan.data.min() < scan.data.max()
    else:
        with pytest.raises(DiffDenoiseError, match=expected) as caught:
            read_scan(path)
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_one_image_in_many_syntaxes_has_the_same_values():
    expected = read_scan(FILES / "MR_small.dcm")
    copies = [*sorted(FILES.glob("MR_small_*.dcm")), HTJ2K_COPY]
    assert len(copies) == 8
    for path in copies:
        scan = read_scan(path)
        assert np.array_equal(scan.data, expected.data), path.name
        assert scan.spacing_mm == expected.spacing_mm


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm"]
)
def test_damaged_files_give_our_errors_and_print_nothing(name, tmp_path, capfd):
    whole = (FILES / name).read_bytes()
    rng = np.random.default_rng(1)
    path = tmp_path / name
    for cut in (0, 1, 100, 132, 140, 200, 400, 700, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:cut])
        _read(path)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(128, min(len(whole), 1500), 8):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        _read(path)
    assert capfd.readouterr() == ("", "")


def _read(path: Path) -> None:
    with suppress(DiffDenoiseError):
        read_scan(path)


@pytest.mark.parametrize(
    "syntax",
    [
        RLELossless,
        JPEGBaseline8Bit,
        JPEGExtended12Bit,
        JPEGLossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEGLSNearLossless,
        JPEG2000,
        JPEG2000Lossless,
        HTJ2KLossless,
        HTJ2KLosslessRPCL,
        HTJ2K,
    ],
)
def test_there_is_a_decoder_for_every_syntax_that_the_documentation_names(syntax):
    assert get_decoder(syntax).is_available


@pytest.mark.parametrize("damage", [slice(0, 200), slice(0, 3000)])
def test_damaged_12_bit_jpeg_is_refused_and_prints_nothing(damage, tmp_path, capfd):
    made = pydicom.dcmread(FILES / "JPGExtended.dcm")
    frame = next(generate_frames(made.PixelData, number_of_frames=1))
    made.PixelData = encapsulate([frame[damage]])
    made.save_as(tmp_path / "a.dcm")
    with pytest.raises(FormatError, match="damaged or cut short"):
        read_scan(tmp_path / "a.dcm")
    assert capfd.readouterr() == ("", "")


def test_without_gdcm_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setattr(jpeg_extended.importlib.util, "find_spec", lambda name: None)
    decoder = get_decoder(JPEGExtended12Bit)
    if "diffdenoise" in decoder.available_plugins:
        decoder.remove_plugin("diffdenoise")
    jpeg_extended.register.cache_clear()
    with pytest.raises(FormatError, match=r"no decoder is installed.*diffdenoise\[gdcm\]"):
        read_scan(FILES / "JPGExtended.dcm")
    jpeg_extended.register.cache_clear()
