"""The grey window: the file's own for CT, soft tissue without one, percentiles for all else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from diffdenoise.scan.dicom.display import Display
from diffdenoise.scan.read import from_array, read_scan
from diffdenoise.trust.view import view_of
from diffdenoise.trust.window import Window, holds_hounsfield_units, window_of
from tests.scan.dicom.files import CT, DX, dataset, pixels, save


def windowed(path: Path, **elements: Any) -> Window:
    """The window of a file with these elements, whose stored values are 1024 above HU."""
    values = pixels(1, rows=12, columns=10)[0]
    options: dict[str, Any] = {
        "sop_class": CT,
        "modality": "CT",
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
    }
    found = read_scan(save(dataset(values, **(options | elements)), path / "one.dcm"))
    view = view_of(found)
    return window_of(found, view.display, view.of(found.data))


@pytest.mark.parametrize(
    ("elements", "limits"),
    [
        # PS3.3, C.11.2.1.2.1: width 100 at centre 50 is black up to 0 and white from 99 on.
        ({"WindowCenter": 50, "WindowWidth": 100}, (0, 99)),
        ({"WindowCenter": 50, "WindowWidth": 100, "VOILUTFunction": "LINEAR_EXACT"}, (0, 100)),
        ({"WindowCenter": [-600, 40], "WindowWidth": [1500, 400]}, (-1350, 149)),
        ({"WindowCenter": 50, "WindowWidth": 0}, (-160, 240)),
        ({"WindowCenter": 50}, (-160, 240)),
        ({}, (-160, 240)),
    ],
)
def test_a_ct_is_shown_in_its_own_window_or_soft_tissue(
    tmp_path: Path, elements: dict[str, Any], limits: tuple[float, float]
) -> None:
    window = windowed(tmp_path, **elements)
    assert (window.low, window.high) == limits
    assert window.unit == "HU"
    own = "WindowWidth" in elements and elements["WindowWidth"] != 0
    assert window.words.startswith("the file's own" if own else "soft tissue")


def test_a_sigmoid_window(tmp_path: Path) -> None:
    window = windowed(tmp_path, WindowCenter=50, WindowWidth=100, VOILUTFunction="SIGMOID")
    # PS3.3, C.11.2.1.3.1: 1 / (1 + exp(-4 (x - c) / w)).
    values = np.array([-50.0, 50.0, 75.0])
    np.testing.assert_allclose(window.grey(values), 1 / (1 + np.exp(-4 * (values - 50) / 100)))


def test_a_frames_own_window_wins(tmp_path: Path) -> None:
    group, voi = Dataset(), Dataset()
    voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction = 10, 20, "LINEAR_EXACT"
    group.FrameVOILUTSequence = [voi]
    window = windowed(tmp_path, SharedFunctionalGroupsSequence=[group], WindowCenter=500, WindowWidth=100)
    assert (window.low, window.high) == (0, 20)


def test_the_window_of_an_mr_is_not_taken(tmp_path: Path) -> None:
    window = windowed(tmp_path, modality="MR", WindowCenter=5000, WindowWidth=1)
    assert window.words.count(" to ") == 1
    assert -1024 <= window.low < window.high <= 0


def test_monochrome1_is_white_at_the_bottom(tmp_path: Path) -> None:
    shown = {}
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        shown[photometric] = windowed(
            tmp_path, sop_class=DX, modality="DX", PhotometricInterpretation=photometric
        )
    values = np.linspace(-1100, 0, 9)
    np.testing.assert_allclose(
        shown["MONOCHROME1"].grey(values), 1 - shown["MONOCHROME2"].grey(values), atol=1e-12
    )
    assert shown["MONOCHROME1"].grey(np.array([-1100.0])) == 1


def test_greys_are_between_black_and_white() -> None:
    window = Window(0, 10)
    assert window.grey(np.array([-5, 0, 2.5, 10, 99, np.nan])).tolist() == [0, 0, 0.25, 1, 1, 0]


def body(padding: float | None = None, noise: float = 25) -> NDArray[np.float64]:
    """A disc of 40 HU with some bone, in air, perhaps padded outside of a circle."""
    y, x = np.mgrid[:64, :64] - 31.5
    radius = np.hypot(y, x)
    data = np.where(radius < 22, 40.0, -1000.0)
    data[30:34, 20:44] = 900
    data += noise * np.random.default_rng(0).standard_normal(data.shape)
    if padding is not None:
        data[radius > 30] = padding
    return np.rint(data)


@pytest.mark.parametrize("padding", [None, -1024, -2000, -3024])
def test_hounsfield_units_are_told_by_their_values(padding: float | None) -> None:
    data = body(padding)
    assert holds_hounsfield_units(data.astype(np.int16))
    window = window_of(from_array(data), Display(""), data)
    assert (window.low, window.high, window.unit) == (-160, 240, "HU")


def test_other_values_are_not_taken_for_hounsfield_units() -> None:
    rng = np.random.default_rng(0)
    others = {
        "MR": np.abs(body()) + 100,
        "phase, 12 bits": rng.integers(-4096, 4096, (64, 64)),
        "phase, thousandths": rng.integers(-1000, 1000, (64, 64)),
        "difference image": rng.normal(0, 300, (64, 64)),
        "field map": rng.normal(0, 1000, (64, 64)),
        "CT, shifted": body() + 1024,
        "nothing": np.full((8, 8), np.nan),
    }
    assert [name for name, data in others.items() if holds_hounsfield_units(np.asarray(data))] == []
    # What the file says counts for more.
    assert window_of(from_array(body()), Display("MR"), body()).unit == ""


def test_percentiles_leave_out_what_is_no_data() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(500, 50, (100, 100))
    whole = window_of(from_array(data), Display(""), data)
    assert (whole.low, whole.high) == tuple(np.percentile(data, (0.5, 98.5)))
    holed = data.copy()
    holed[:30], holed[30:40] = -30000, np.nan
    known = np.ones(data.shape, bool)
    known[:30] = False
    window = window_of(from_array(holed), Display(""), holed, known)
    assert (window.low, window.high) == tuple(np.percentile(data[40:], (0.5, 98.5)))


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_a_slice_without_contrast_has_a_window(value: float) -> None:
    data = np.full((8, 8), value)
    window = window_of(from_array(data), Display(""), data)
    assert window.low < window.high
