"""What the noise statement reads of scans whose noise is known, row by row of what it must read.

    python -m bench.noise_estimates --data DIR [--only WORD]

Noise is drawn with seed 0, added in the scan's own units and rounded to its stored type, as a scanner does;
real noise is told by repeats. Prints a line a row and stores the table's figures below bench/cells;
`python -m bench.tables` fills docs/benchmarks.md with it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cases import REFERENCES, dicom_values
from bench.data import Data, MissingDataError, power_of
from bench.noise import Colour, Kind
from bench.noise import Noise as Known
from bench.place import geometry_factor
from bench.repeats import load_fmri, load_m4raw, load_ulf, phantom_repeats
from diffdenoise.config import Settings
from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.shape import in_words
from diffdenoise.noise.statement import diagnose
from diffdenoise.scan.read import from_array, read_scan
from tests.end_to_end.phantom import clean_phantom

Values = NDArray[np.generic]
CELL = Path(__file__).parent / "cells" / "noise-estimates.json"
#: Reach in pixels of the lags that are compared, and points along an axis of spectra.
_REACH, _POINTS = 4, 128
#: From which on lags that are off are told in the table.
_LAGS_OFF = 0.05


@dataclass(frozen=True)
class Truth:
    """A scan, slices along its first axis, and what is known of its noise.

    Attributes
    ----------
    values : array (slices, height, width)
        As stored.
    std : float or None
        In its units; None: it has noise of its own, or none to speak of.
    lags : array (9, 9) or None
        Autocorrelation up to 4 pixels around the centre.
    """

    values: Values
    std: float | None
    lags: NDArray[np.float64] | None = None


Make = Callable[[Path], Truth]


def main() -> None:
    """Measure all rows whose files are there."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="", help="rows whose names hold this")
    parser.add_argument("--cell", type=Path, default=CELL)
    given = parser.parse_args()
    found = {}
    for name, make in rows():
        if given.only not in name:
            continue
        try:
            found[name] = measure(make(given.data))
        except MissingDataError as missing:
            print(f"skipped {name}: {missing}")
            continue
        print(f"{name:45s} {_line(found[name])}", flush=True)
    if not given.only:
        given.cell.write_text(json.dumps(found, indent=1), encoding="utf-8")


def measure(truth: Truth) -> dict[str, Any]:
    """What is read of a scan, beside what is true."""
    began = time.process_time()
    statement = diagnose(from_array(truth.values), 0)
    found = statement.diagnosis
    rician = None if found.rician_std is None else found.rician_std * statement.range
    read = rician or statement.std or 0.0
    return {
        "truth": truth.std,
        "read": round(read, 4),
        "percent": round(100 * read / statement.range, 3),
        "clean": found.is_clean(Settings().clean_below_contrast),
        "at_most": found.is_upper_bound,
        "of_contrast": found.share_of_contrast,
        "coils": None if rician is None else found.coils,
        "shape": in_words(found.correlation),
        "map": found.noise.place is not None,
        "lags_off": None if truth.lags is None else round(_off(found.correlation, truth.lags), 3),
        "cpu_s": round(time.process_time() - began, 1),
    }


def _off(correlation: Correlation, truth: NDArray[np.float64]) -> float:
    reach = range(-_REACH, _REACH + 1)
    return max(
        abs(correlation.at(down, right) - float(truth[down + _REACH, right + _REACH]))
        for down in reach
        for right in reach
    )


def _line(row: dict[str, Any]) -> str:
    ratio = f"{row['read'] / row['truth']:5.2f}" if row["truth"] else "     "
    off = "" if row["lags_off"] is None else f"lags off {row['lags_off']:.2f}, "
    contrast = "" if row["of_contrast"] is None else f", {row['of_contrast']:.2g} of contrast"
    level = f"{row['read']:9.4g} ({row['percent']:5.2f} %) {ratio}"
    return f"{level} {off}{_said(row)}{contrast} [{row['cpu_s']} s]"


def table(found: dict[str, dict[str, Any]]) -> str:
    """What is read, row by row, and of noise added to clean references, a reference a column."""
    listed = [name for name in found if not any(name.endswith(f", {label}") for label in ADDED)]
    lines = ["| scan | true level | read | lags off by at most | said |", "|---|---|---|---|---|"]
    for name in listed:
        row = found[name]
        truth = "" if row["truth"] is None else f"{row['truth']:.3g}"
        ratio = f" ({row['read'] / row['truth']:.2f} times)" if row["truth"] else ""
        off = "" if row["lags_off"] is None else f"{row['lags_off']:.2f}"
        lines.append(f"| {name} | {truth} | {row['read']:.3g}{ratio} | {off} | {_said(row)} |")
    lines += ["", f"| noise added | {' | '.join(REFERENCES)} |", "|---" * (len(REFERENCES) + 1) + "|"]
    for label in ADDED:
        cells = (found.get(f"{name}, {label}") for name in REFERENCES)
        lines.append(f"| {label} | {' | '.join('' if one is None else _in_percent(one) for one in cells)} |")
    return "\n".join(lines)


def _said(row: dict[str, Any]) -> str:
    magnitude = None if row["coils"] is None else "Rician" if row["coils"] == 1 else f"chi of {row['coils']}"
    words = [
        "already clean" if row["clean"] else None,
        "at most, cannot tell" if row["at_most"] else None,
        magnitude,
        row["shape"],
        "varies by place" if row["map"] else None,
    ]
    return ", ".join(word for word in words if word)


def _in_percent(row: dict[str, Any]) -> str:
    """Level of noise on a reference whose range is 1000, and what more there is to be said."""
    kind = "Rician " if row["coils"] else ""
    off = "" if (row["lags_off"] or 0) < _LAGS_OFF else f", lags off {row['lags_off']:.2f}"
    return f"{kind}{row['read'] / 10:.1f}%{off}{', at most' if row['at_most'] else ''}"


def rows() -> Iterator[tuple[str, Make]]:
    """Names of the rows, and what makes their scans."""
    for dose in (10, 100):
        yield f"FDA phantom, dose {dose} %", partial(_phantom, dose=dose)
    for name in ("nifti-ct-padding/ct_padding_-1024", "nifti-ct-padding/ct_padding_-3024"):
        yield f"case {name}", partial(_case, name=name)
    yield from _of_ct()
    for hot in (12, 40):
        yield f"PET, {hot} hot spots", partial(_pet, hot=hot)
    for width in (0.0, 0.4, 0.6, 0.8, 1.0, 1.3):
        yield f"magnitude, {width:g} px", partial(_magnitude, coils=1, width=width)
    for coils in (2, 4, 8, 32):
        yield f"magnitude of {coils} coils", partial(_magnitude, coils=coils, width=0.0)
    for width in (0.0, 0.8):
        for name in ("MS T1W", "MS FLAIR"):
            label = f"{name}, 4 to 12 % in place, {width:g} px"
            yield label, partial(_place, name=name, width=width)
    yield from _real()
    yield from _clean()
    for name in REFERENCES:
        for label, noise in ADDED.items():
            yield f"{name}, {label}", partial(_known, name=name, noise=noise)


#: What is added to clean references.
ADDED = {
    **{f"white {std:.0%}": Known("gaussian", std) for std in (0.03, 0.05, 0.10, 0.20)},
    **{f"{width:g} px, 10%": Known("gaussian", 0.10, Colour(width)) for width in (0.5, 0.8, 1.2, 1.6)},
    **{f"band-pass {std:.0%}": Known("gaussian", std, Colour(ramp=True)) for std in (0.03, 0.10)},
    **{f"zero-filled {n:g} times, 10%": Known("gaussian", 0.10, Colour(cut=0.5 / n)) for n in (1.5, 2.0)},
    **{f"Rician {std:.0%}": Known("rician", std) for std in (0.05, 0.10)},
}


def _known(folder: Path, *, name: str, noise: Known) -> Truth:
    """Noise on a clean reference, as integers of a thousandth of its range."""
    clean = REFERENCES[name](folder)
    stack = np.concatenate([one for one in clean if one.shape[1:] == clean[0].shape[1:]])
    noisy = noise.add(stack, np.random.default_rng(0))
    lags = None if noise.is_magnitude else lags_of(noise.colour)
    return Truth((1000 * noisy).round().astype(np.int16), 1000 * noise.std, lags)


def lags_of(colour: Colour) -> NDArray[np.float64]:
    """Autocorrelation (9, 9) of noise of a colour."""
    return _around(colour.power((_POINTS, _POINTS)))


def _around(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Autocorrelation up to the reach of noise of a power spectrum."""
    covariance = np.fft.ifft2(power).real
    reach = np.arange(-_REACH, _REACH + 1)
    return np.asarray(covariance[np.ix_(reach, reach)] / covariance[0, 0])


def _phantom(folder: Path, dose: int) -> Truth:
    """One repeat; lags and level from the differences of ten from their mean, in HU."""
    repeats = phantom_repeats(folder / f"ct-lcd-repeats-fda/dose_{dose:03d}", "absent").astype(np.float64)
    count, side = len(repeats), repeats.shape[-1]
    differences = (repeats - repeats.mean(axis=0)) * np.sqrt(count / (count - 1))
    # Inside the phantom, not at its rim.
    middle = differences[:, side // 4 : -side // 4, side // 4 : -side // 4]
    lags = _around(power_of([middle], (_POINTS, _POINTS)))
    return Truth(repeats[:1].astype(np.int16), float(np.sqrt((middle**2).mean())), lags)


def _case(folder: Path, name: str) -> Truth:
    path = folder.parent / "cases" / f"{name}.nii.gz"
    if not path.is_file():
        raise MissingDataError(f"{path} is missing")
    return Truth(np.moveaxis(read_scan(path).data, 2, 0), 25.0)


_CHEST_NUMBERS = ("000001", "000041", "000091", "000131", "000181", "000226")
_CT = {
    "chest CT": tuple(f"ct-chest-fnndsc/{number}.dcm" for number in _CHEST_NUMBERS),
    "abdomen CT": tuple(f"ct-abdomen-dcmqi/0{number}.dcm" for number in (1, 2, 3)),
}


def _of_ct() -> Iterator[tuple[str, Make]]:
    for name, paths in _CT.items():
        for added in (5, 8, 15, 25, 40):
            yield f"{name} +{added} HU", partial(_ct, paths=paths, added=added)
        for padding in (-1024, -2000, -3024):
            yield f"{name} +15 HU, padding {padding}", partial(_ct, paths=paths, added=15, padding=padding)
        yield f"{name} +15 HU, not clipped", partial(_ct, paths=paths, added=15, clipped=False)


def _ct(
    folder: Path,
    *,
    paths: tuple[str, ...],
    added: float,
    clipped: bool = True,
    padding: int | None = None,
) -> Truth:
    """Slices with white noise on top of their own, which isn't known; padding outside of the field."""
    values = np.stack(dicom_values([folder / path for path in paths])).clip(-1024, None)
    noisy = values + added * np.random.default_rng(0).standard_normal(values.shape)
    if clipped:
        noisy = noisy.clip(-1024, None)
    if padding is not None:
        down, right = np.indices(values.shape[1:])
        centre = [side / 2 for side in values.shape[1:]]
        outside = np.hypot(down - centre[0], right - centre[1]) > min(values.shape[1:]) / 2
        noisy[:, outside] = padding
    return Truth(noisy.round().astype(np.int16), None)


def _pet(_: Path, *, hot: int) -> Truth:
    """Counts with 25 % of noise in the body and hot spots 30 times as bright; gain 1, so that body is 16."""
    down, right = np.indices((128, 128))
    body = np.hypot((down - 64) / 50, (right - 64) / 36) < 1
    rng = np.random.default_rng(0)
    clean = np.repeat(np.where(body, 16.0, 0.5)[None], 24, axis=0)
    for _spot in range(hot):
        z, y, x = rng.integers(24), rng.integers(30, 98), rng.integers(40, 88)
        clean[z, np.hypot(down - y, right - x) < 2.5] = 480.0
    return Truth(rng.poisson(clean).astype(np.float32), 4.0)


def _magnitude(_: Path, *, coils: int, width: float) -> Truth:
    """True parts of std 80 on 10 slices of 128 x 128 of a head with a fifth of air."""
    clean = np.moveaxis(clean_phantom((128, 128, 10)), 2, 0)
    kind: Kind = "rician" if coils == 1 else "chi"
    noisy = Known(kind, 80.0, Colour(width), coils=coils).add(
        clean.astype(np.float32), np.random.default_rng(0)
    )
    return Truth(noisy.round().astype(np.int16), 80.0)


def _place(folder: Path, name: str, width: float) -> Truth:
    clean = REFERENCES[name](folder)[0]
    level = 0.04 * geometry_factor(*clean.shape[1:])
    unit = Known("gaussian", 1.0, Colour(width)).add(np.zeros_like(clean), np.random.default_rng(0))
    inside = clean > 0.1
    middle = float(np.median(np.broadcast_to(level, clean.shape)[inside]))
    return Truth(
        (1000 * (clean + level * unit)).round().astype(np.int16), 1000 * middle, lags_of(Colour(width))
    )


def _real() -> Iterator[tuple[str, Make]]:
    for name, load in (("M4Raw", load_m4raw), ("BOLD", load_fmri), ("0.055 T native", load_ulf)):
        yield f"real {name}", partial(_repeats, load=load)
    for name in ("FLAIR", "FSE"):
        yield f"real 0.055 T {name}, zero-filled", partial(_ulf, name=name)


def _repeats(folder: Path, *, load: Callable[[Path, int], Data]) -> Truth:
    """One repeat; the level in tissue from its difference to the others."""
    data = load(folder, 0)
    reference = data.clean[0]
    inside = reference > 0.1 * np.quantile(reference, 0.995)
    std = float(np.sqrt((data.differences[0][inside] ** 2).mean()))
    return Truth(1000 * data.noisy[0], 1000 * std)


def _ulf(folder: Path, name: str) -> Truth:
    """Magnitudes zero-filled to twice the grid; the level of one part from the air in their corners."""
    path = folder / f"mri-ulf-0.055T/Figure6A/0.055T/0.055T_{name}.npz"
    if not path.is_file():
        raise MissingDataError(f"{path} is missing")
    values = np.moveaxis(np.load(path)["image"], 2, 0)
    side = 40
    corners = [values[:, down, right] for down in _ends(side) for right in _ends(side)]
    return Truth(values, float(np.sqrt(np.mean(np.square(corners, dtype=np.float64)) / 2)))


def _ends(side: int) -> tuple[slice, slice]:
    return slice(None, side), slice(-side, None)


def _clean() -> Iterator[tuple[str, Make]]:
    for name in REFERENCES:
        yield f"clean {name}", partial(_untouched, name=name)
    yield "clean skull-stripped", partial(_stripped, std=0.0)
    yield "skull-stripped +8 %", partial(_stripped, std=80.0)
    yield "MP2RAGE-like air +3 %", _mp2rage
    yield "T1W interpolated twice +5 %", partial(_interpolated, std=0.05)
    yield "clean T1W interpolated twice", partial(_interpolated, std=0.0)
    yield "clean integer phantom", _integers


def _untouched(folder: Path, name: str) -> Truth:
    clean = REFERENCES[name](folder)
    stack = np.concatenate([one for one in clean if one.shape[1:] == clean[0].shape[1:]])
    return Truth((1000 * stack).round().astype(np.int16), None)


def _stripped(_: Path, *, std: float) -> Truth:
    clean = np.moveaxis(clean_phantom((96, 96, 12)), 2, 0)
    noisy = np.where(clean > 0, clean + std * np.random.default_rng(0).standard_normal(clean.shape), 0.0)
    return Truth(noisy.round().astype(np.int16), std or None)


def _integers(_: Path) -> Truth:
    return Truth(np.moveaxis(clean_phantom(), 2, 0).round().astype(np.int16), None)


def _mp2rage(folder: Path) -> Truth:
    """Air that is uniform noise over the whole range, as the ratio of two noises is."""
    clean = REFERENCES["MS T1W"](folder)[0]
    rng = np.random.default_rng(0)
    noisy = clean + 0.03 * rng.standard_normal(clean.shape)
    air = clean < 0.05
    noisy[air] = rng.random(int(air.sum()))
    return Truth((4095 * noisy.clip(0, 1)).round().astype(np.int16), 4095 * 0.03)


def _interpolated(folder: Path, std: float) -> Truth:
    """Twice as fine a grid by linear interpolation, of an image with white noise of that level."""
    from scipy.ndimage import zoom

    clean = REFERENCES["MS T1W"](folder)[0][12:24, 60:220, 60:220]
    noisy = clean + std * np.random.default_rng(0).standard_normal(clean.shape)
    finer = zoom(noisy, (1, 2, 2), order=1)
    # Points lie anywhere between two pixels: (1 - t)^2 + t^2 of the variance along an axis, 2/3 on average.
    return Truth((1000 * finer).round().astype(np.int16), 1000 * std * 2 / 3 if std else None)


if __name__ == "__main__":
    main()
