"""Where something was taken off, or put in, that noise does not explain: the residual searched for shapes.

A lesion that the noisy scan shows and the denoised one doesn't, and one that only the denoised one shows, are
both in the residual, where neither anatomy nor the rest hides them. Discs and lines are looked for with the
filter that tells them best from noise of the residual's own spectrum (matched filter, North 1943); what it
gives at edges, where every denoiser errs most, is held against what it gives at other such edges.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from diffdenoise.trust.evidence import Place
from diffdenoise.trust.paired import MOST_SEARCHED, Pair, Paired, Part
from diffdenoise.trust.scatter import Scatter, robust_std

#: Diameters of discs; length and width of lines, and their directions; pixels.
_DISCS, _LINE, _LINE_WIDTH, _DIRECTIONS = (4, 6, 9, 14, 20), 14, 1.5, 8
#: Side of a shape's square.
_SIDE = 41
#: How often chance alone may give a place in a whole scan; as how many independent ones the 13 shapes count
#: that are looked for at each pixel. With 5, chance gave a place in 3.7 % of 320 scans of white noise and in
#: 5.9 % of correlated; with 1, in 23 and 25 %.
_BY_CHANCE, _INDEPENDENT = 0.05, 5
#: Contrast, in stds of the noise, below which a shape is no lesion but a slow change.
_LEAST_CONTRAST = 0.8
#: Shares of pixels with the weakest edges that are held against each other.
_EDGES = (0.5, 0.75, 0.9, 0.97)
#: Pixels that tell spectrum and spread; places that are told; pixels between two of them.
_LEARNED, MOST_TOLD, _APART = 1_600_000, 100, 9
#: Std in frequencies over which the spectrum is smoothed; least power as a share of the highest.
_SMOOTH, _FLOOR = 3.0, 1e-3

_Image = NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """What the search gave.

    Attributes
    ----------
    places : tuple of Place
        The strongest first, `MOST_TOLD` at most.
    count : int
        How many there are.
    threshold : float
        Strength from which on chance doesn't explain one.
    searched, slices : int
        Pixels and slices that were looked at.
    """

    places: tuple[Place, ...]
    count: int
    threshold: float
    searched: int
    slices: int


def find_places(paired: Paired) -> Found | None:
    """Search a scan's residual for discs and lines.

    Parameters
    ----------
    paired : Paired
        The scan before and after.

    Returns
    -------
    Found or None
        None where nothing was taken off.
    """
    few = paired.parts(_LEARNED)
    scatter = Scatter.of(paired.pairs(few))
    if scatter is None:
        return None
    parts = paired.parts(MOST_SEARCHED)
    typical = paired.noise.diagnosis.std
    searches = {
        shape: _Search.learned(
            paired.pairs([one for one in few if _shape(one) == shape]), scatter, shape, typical
        )
        for shape in {_shape(one) for one in parts}
    }
    searched = sum(one.height * one.width for one in parts)
    threshold = _threshold(searched)
    found = [
        place for pair in paired.pairs(parts) for place in searches[_shape(pair.part)].places(pair, threshold)
    ]
    found.sort(key=lambda place: -place.strength)
    slices = len({(one.volume, one.number) for one in parts})
    return Found(tuple(found[:MOST_TOLD]), len(found), threshold, searched, slices)


def _shape(part: Part) -> tuple[int, int]:
    return part.height, part.width


def _threshold(pixels: int) -> float:
    """Strength that Gaussian noise reaches in `_BY_CHANCE` of scans of so many pixels."""
    from scipy.special import ndtri

    return float(-ndtri(_BY_CHANCE / (_INDEPENDENT * pixels) / 2))


@cache
def shapes() -> tuple[tuple[float, NDArray[np.float64]], ...]:
    """Sizes and images of what is searched for: discs, then lines; 1 inside."""
    middle = np.arange(_SIDE) - _SIDE // 2
    rows, columns = np.meshgrid(middle, middle, indexing="ij")
    found = [(float(size), disc(rows, columns, size)) for size in _DISCS]
    for step in range(_DIRECTIONS):
        angle = np.pi * step / _DIRECTIONS
        found.append((float(_LINE), line(rows, columns, _LINE, angle)))
    return tuple(found)


def disc(rows: NDArray[np.number], columns: NDArray[np.number], size: float) -> NDArray[np.float64]:
    """A disc of that diameter in pixels around 0, 1 inside, with a rim of one pixel."""
    return np.asarray(np.clip(size / 2 + 0.5 - np.hypot(rows, columns), 0, 1))


def line(
    rows: NDArray[np.number], columns: NDArray[np.number], length: float, angle: float
) -> NDArray[np.float64]:
    """A thin line of that length in pixels through 0, 1 inside."""
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    inside = np.clip(_LINE_WIDTH / 2 + 0.5 - np.abs(across), 0, 1)
    return np.asarray(inside * np.clip(length / 2 + 0.5 - np.abs(along), 0, 1))


@dataclass(frozen=True)
class _Search:
    """The filters for parts of one shape.

    Attributes
    ----------
    scatter : Scatter
        Of the residuals.
    filters : complex array (shapes, frequencies down, right)
        Whose output has std 1 on the residual's own noise.
    gains : float array (shapes,)
        Output for a shape of the height 1.
    edges : float array
        Gradients between the classes of edges.
    spreads : float array (shapes, classes)
        Std of the outputs in each class, at least 1.
    typical_std : float32
        Std of the noise in tissue, scaled intensities; 0: not known.
    """

    scatter: Scatter
    filters: NDArray[np.complex64]
    gains: NDArray[np.float64]
    edges: NDArray[np.float64]
    spreads: NDArray[np.float64]
    typical_std: np.float32

    @classmethod
    def learned(
        cls, pairs: Iterable[Pair], scatter: Scatter, shape: tuple[int, int], typical_std: float
    ) -> _Search:
        """Measure the residual's spectrum, and what the filters give at edges, on parts of a shape."""
        seen = list(pairs)
        even = [scatter.even(pair)[0] for pair in seen]
        filters, gains = _filters(spectrum_of(even), shape)
        gradients = [_gradient(pair.denoised) for pair in seen]
        edges = np.quantile(np.concatenate([one[::7, ::7].ravel() for one in gradients]), _EDGES)
        classes = [np.searchsorted(edges, one) for one in gradients]
        spreads = np.ones((len(filters), len(_EDGES) + 1))
        for number, each in enumerate(filters):
            outputs = [_filtered(one, each) for one in even]
            for which in range(len(_EDGES) + 1):
                own = np.concatenate(
                    [output[where == which] for output, where in zip(outputs, classes, strict=True)]
                )
                if own.size:
                    spreads[number, which] = max(1.0, robust_std(own))
        return cls(scatter, filters, gains, edges, spreads, np.float32(typical_std))

    def places(self, pair: Pair, threshold: float) -> list[Place]:
        """Return what is beyond a threshold in a part of a slice."""
        from scipy.ndimage import maximum_filter

        even, std = self.scatter.even(pair)
        where = np.searchsorted(self.edges, _gradient(pair.denoised))
        strength, best = np.zeros(even.shape, np.float32), np.zeros(even.shape, np.intp)
        height = np.zeros(even.shape, np.float32)
        for number, each in enumerate(self.filters):
            output = _filtered(even, each)
            own = np.abs(output) / self.spreads[number].astype(np.float32)[where]
            better = own > strength
            strength, best = np.where(better, own, strength), np.where(better, number, best)
            height = np.where(better, output / np.float32(self.gains[number]), height)
        # In stds of the noise in tissue, as what is calmer, such as air, shows nothing that is fainter; where
        # no noise is known, in those of the residual.
        least = np.maximum(pair.std, self.typical_std)
        contrast = height * np.where(least > 0, std / np.maximum(least, 1e-9), 1)
        peak = (strength > threshold) & (np.abs(contrast) > _LEAST_CONTRAST) & pair.known
        strength = np.where(peak, strength, 0)
        peak &= strength == maximum_filter(strength, _APART)
        return [
            Place(
                pair.part.volume,
                pair.part.number,
                pair.part.top + int(row),
                pair.part.left + int(column),
                shapes()[best[row, column]][0],
                float(strength[row, column]),
                float(contrast[row, column]),
            )
            for row, column in np.argwhere(peak)
        ]


def spectrum_of(even: Iterable[_Image]) -> NDArray[np.float64]:
    """Power at each frequency of an FFT, smoothed, of residuals of one shape.

    What has no data is left out of the mean.
    """
    from scipy.fft import fft2
    from scipy.ndimage import gaussian_filter

    power, weight = 0.0, 0.0
    for one in even:
        window = np.outer(np.hanning(one.shape[0]), np.hanning(one.shape[1]))
        power = power + np.abs(fft2(one * window)) ** 2
        weight += float((window**2 * (one != 0)).sum())
    smooth = gaussian_filter(power / max(weight, 1.0), _SMOOTH, mode="wrap")
    return np.asarray(np.maximum(smooth, _FLOOR * smooth.max()))


def _filters(
    power: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
    """Matched filters of all shapes, and what they give for a shape of the height 1."""
    from scipy.fft import rfft2

    half = power[:, : shape[1] // 2 + 1]
    # Frequencies that an FFT of real values leaves out are those of the other half again.
    twice = np.full(half.shape[1], 2.0)
    twice[0] = 1.0
    if shape[1] % 2 == 0:
        twice[-1] = 1.0
    filters, gains = [], []
    for _, image in shapes():
        whole = np.zeros(shape)
        rows, columns = (
            np.arange(size) - (size - min(size, _SIDE)) // 2 - min(size, _SIDE) // 2 for size in shape
        )
        inside_rows, inside_columns = (np.abs(one) <= _SIDE // 2 for one in (rows, columns))
        middle = _SIDE // 2
        part = image[np.ix_(rows[inside_rows] + middle, columns[inside_columns] + middle)]
        whole[np.ix_(rows[inside_rows] % shape[0], columns[inside_columns] % shape[1])] = part
        found = rfft2(whole)
        norm = np.sqrt((np.abs(found) ** 2 / half * twice).sum() / (shape[0] * shape[1]))
        filters.append((np.conj(found) / half / norm).astype(np.complex64))
        gains.append(norm)
    return np.stack(filters), np.array(gains)


def _filtered(even: _Image, each: NDArray[np.complex64]) -> _Image:
    from scipy.fft import irfft2, rfft2

    return np.asarray(irfft2(rfft2(even) * each, s=even.shape), np.float32)


def _gradient(image: _Image) -> _Image:
    """Strongest change of brightness about each pixel."""
    from scipy.ndimage import gaussian_gradient_magnitude, maximum_filter

    return np.asarray(maximum_filter(gaussian_gradient_magnitude(image, 1.0), 5))
