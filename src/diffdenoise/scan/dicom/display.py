"""How a DICOM file wants a frame shown: window, polarity, and directions where it has no place in space."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from diffdenoise.scan.dicom.parse import number_of, parse, quiet_pydicom, value_of, words_of
from diffdenoise.scan.dicom.series import Series

#: Names of directions in a file (PS3.3, C.7.6.1.1.1), and in an affine; each beside its opposite.
_DIRECTIONS = {"R": "R", "L": "L", "A": "A", "P": "P", "H": "S", "F": "I"}
_OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}


@dataclass(frozen=True)
class Display:
    """How a frame is to be shown.

    Attributes
    ----------
    modality : str
        "CT", "MR", ...; "" where the file doesn't say.
    window : (centre, width) or None
        The first that the file gives, in real values.
    function : {"LINEAR", "LINEAR_EXACT", "SIGMOID"}
        What the window means (PS3.3, C.11.2.1.3).
    is_inverted : bool
        Whether the least value is white (MONOCHROME1).
    directions : four str or None
        Of the patient, at the left, right, top and bottom of the frame as stored, by PatientOrientation.
    is_at_detector : bool
        Whether pixel sizes are those at the detector, on which the patient's shadow is larger.
    """

    modality: str
    window: tuple[float, float] | None = None
    function: str = "LINEAR"
    is_inverted: bool = False
    directions: tuple[str, str, str, str] | None = None
    is_at_detector: bool = False


def display_of(series: Series, volume: int = 0, index: int = 0) -> Display:
    """Read how a frame is to be shown; what the file doesn't say, or can't be read again, is left open.

    Parameters
    ----------
    series : Series
        As found.
    volume, index : int
        Which frame, by time and slice.
    """
    frame = series.layout.frames[volume][index]
    source = series.sources[frame.file]
    try:
        with source.open() as stream, quiet_pydicom():
            dataset = parse(stream, source.name)
            return _display(dataset, frame.number, series.header.modality)
    except Exception:  # the pixels were read before: that nothing more can be told doesn't matter
        return Display(series.header.modality)


def _display(dataset: Any, number: int, modality: str) -> Display:
    holder = _voi(dataset, number)
    centre, width = (_first_number(holder, keyword) for keyword in ("WindowCenter", "WindowWidth"))
    function = (words_of(holder, "VOILUTFunction") or ("LINEAR",))[0]
    photometric = (words_of(dataset, "PhotometricInterpretation") or ("",))[0]
    return Display(
        modality,
        window=None if centre is None or width is None or width <= 0 else (centre, width),
        function=function if function in ("LINEAR_EXACT", "SIGMOID") else "LINEAR",
        is_inverted=photometric == "MONOCHROME1",
        directions=_directions(words_of(dataset, "PatientOrientation")),
        is_at_detector=number_of(dataset, "PixelSpacing") is None and "ImagerPixelSpacing" in dataset,
    )


def _voi(dataset: Any, number: int) -> Any:
    """What holds a frame's window: its own functional group, the shared one, or the data set."""
    groups = value_of(dataset, "PerFrameFunctionalGroupsSequence") or ()
    shared = value_of(dataset, "SharedFunctionalGroupsSequence") or ()
    for item in (*groups[number : number + 1], *shared[:1]):
        found = value_of(item, "FrameVOILUTSequence")
        if found:
            return found[0]
    return dataset


def _first_number(item: Any, keyword: str) -> float | None:
    """The first value of an element that may have several."""
    value = value_of(item, keyword)
    if value is None:
        return None
    values = [value] if isinstance(value, str | int | float) else list(value)
    try:
        number = float(values[0])
    except (IndexError, TypeError, ValueError):
        return None
    return number if abs(number) < float("inf") else None


def _directions(words: tuple[str, ...]) -> tuple[str, str, str, str] | None:
    """Directions at the left, right, top and bottom, from those that rows and columns run to."""
    if len(words) != 2 or not all(re.fullmatch("[RLAPHF]{1,3}", word) for word in words):
        return None
    right, bottom = ("".join(_DIRECTIONS[letter] for letter in word) for word in words)
    left, top = ("".join(_OPPOSITE[letter] for letter in word) for word in (right, bottom))
    return left, right, top, bottom
