"""Numbers of a residual: how much was taken off, of which fineness, and how much of it is no noise."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.correlation import Correlation
from diffdenoise.trust.paired import Pair, Paired
from diffdenoise.trust.scatter import LIMIT, Scatter

#: Pixels that are looked at.
_LOOKED_AT = 4_000_000
#: Shares of the pixels with the weakest and strongest edges.
_CALM, _STRONG = 0.5, 0.95
#: Std in pixels of the Gaussian that coarse is parted from fine by; over which edges are looked for.
_FINE_PX, _EDGE_PX = 1.5, 1.0
#: Side in pixels of patches whose spectrum is measured, and bounds of its bands in cycles per pixel.
_PATCH, BANDS = 32, (0.0, 0.1, 0.25, 0.5)
#: Share of known pixels that a patch needs; fewest patches.
_FULL, _FEWEST_PATCHES = 0.99, 8
#: Pixels about a frequency whose median a peak rises from; lowest frequencies, which are slow change.
_AROUND, _SLOW = 9, 3

_Image = NDArray[np.float32]


@dataclass(frozen=True)
class ResidualFigures:
    """What a residual is like; NaN where it could not be told.

    Attributes
    ----------
    taken : float
        Its std over the stated noise's.
    bands : tuple of float
        The same in calm places, for the frequencies between `BANDS`.
    blur : float
        What of the finest structure at edges was taken off, over what is left of it: 0 for noise alone.
    lost : float
        The same as a std, over the noise's: how much structure is missing at edges.
    at_edges : float
        Its power at edges over that in calm places, in units of the noise there.
    left : float
        How much of the noise is left in calm places, over what was taken off: a share a gives a / (1 - a).
    peak : float
        Highest peak of its spectrum over the frequencies about it, in units of what chance gives; stripes.
    """

    taken: float = np.nan
    bands: tuple[float, ...] = ()
    blur: float = np.nan
    lost: float = np.nan
    at_edges: float = np.nan
    left: float = np.nan
    peak: float = np.nan


def look_at_residual(paired: Paired) -> ResidualFigures | None:
    """Measure a residual; None where nothing was taken off.

    Parameters
    ----------
    paired : Paired
        The scan before and after.
    """
    parts = paired.parts(_LOOKED_AT)
    scatter = Scatter.of(paired.pairs(parts))
    if scatter is None:
        return None
    sums = _Sums(paired.noise.model.correlation)
    spectra: dict[tuple[int, int], _Peaks] = {}
    for pair in paired.pairs(parts):
        if not pair.known.any():
            continue
        even, std = scatter.even(pair)
        sums.add(pair, even, std)
        spectra.setdefault(even.shape, _Peaks()).add(even)
    return sums.figures(max((one.highest() for one in spectra.values()), default=np.nan))


@dataclass
class _Sums:
    """What was added up so far."""

    correlation: Correlation
    squares: list[float] = field(default_factory=list)
    counts: list[float] = field(default_factory=list)
    edge: list[tuple[float, float]] = field(default_factory=list)
    calm: list[tuple[float, float]] = field(default_factory=list)
    fine: list[tuple[float, float]] = field(default_factory=list)
    left: list[tuple[float, float]] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)
    patches: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, pair: Pair, even: _Image, std: _Image) -> None:
        """Take in a part of a slice; `even` is its residual as multiples of its `std`, without bias."""
        from scipy.ndimage import gaussian_filter

        known, image, residual = pair.known, pair.denoised, even * std
        edges = np.where(known, _edges(image), 0)
        strong, calm = np.quantile(edges[known], [_STRONG, _CALM])
        at_edge, in_calm = known & (edges >= strong) & (edges > 0), known & (edges <= calm)
        detail, fine = (one - gaussian_filter(one, _FINE_PX) for one in (image, residual))
        self.fine.append(_products(residual, detail, at_edge))
        self.left.append(_products(detail, fine, in_calm))
        if not (pair.std[known] > 0).all():
            return
        relative = (residual / np.maximum(pair.std, 1e-9)).clip(-LIMIT, LIMIT)
        self.noise.append(float((pair.std[at_edge] ** 2).sum()))
        self.squares.append(float((relative[known] ** 2).sum()))
        self.counts.append(float(known.sum()))
        self.edge.append((float((relative[at_edge] ** 2).sum()), float(at_edge.sum())))
        self.calm.append((float((relative[in_calm] ** 2).sum()), float(in_calm.sum())))
        # With its bias, which is even over a patch: what goes with brightness is, of leaked noise, noise.
        biased = (pair.residual / np.maximum(pair.std, 1e-9)).clip(-LIMIT, LIMIT)
        self.patches += _calm_patches(biased, in_calm, known)

    def figures(self, peak: float) -> ResidualFigures:
        """Return what all parts together show."""
        return ResidualFigures(
            taken=float(np.sqrt(_ratio(sum(self.squares), sum(self.counts)))),
            bands=_bands(self.patches, self.correlation),
            blur=_total(self.fine),
            lost=_total(self.fine)
            * float(np.sqrt(_ratio(sum(power for _, power in self.fine), sum(self.noise)))),
            at_edges=_ratio(_total(self.edge), _total(self.calm)),
            left=_total(self.left),
            peak=peak,
        )


def _edges(image: _Image) -> _Image:
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

    return np.asarray(gaussian_filter(gaussian_gradient_magnitude(image, _EDGE_PX), _EDGE_PX))


def _products(one: _Image, other: _Image, where: NDArray[np.bool_]) -> tuple[float, float]:
    """Sums for the slope of one against the other."""
    x, y = other[where].astype(np.float64), one[where].astype(np.float64)
    return float((x * y).sum()), float((x * x).sum())


def _total(pairs: Sequence[tuple[float, float]]) -> float:
    return _ratio(sum(one for one, _ in pairs), sum(other for _, other in pairs))


def _ratio(one: float, other: float) -> float:
    return one / other if other > 0 else np.nan


def _calm_patches(
    relative: _Image, calm: NDArray[np.bool_], known: NDArray[np.bool_]
) -> list[NDArray[np.float64]]:
    """Spectra of the calmest half of the patches of a residual."""
    found = []
    for top in range(0, relative.shape[0] - _PATCH + 1, _PATCH):
        for left in range(0, relative.shape[1] - _PATCH + 1, _PATCH):
            part = (slice(top, top + _PATCH), slice(left, left + _PATCH))
            if known[part].mean() >= _FULL and calm[part].mean() > _CALM:
                found.append(_power(relative[part]))
    return found


def _power(patch: _Image) -> NDArray[np.float64]:
    from scipy.fft import fft2

    window = np.outer(np.hanning(_PATCH), np.hanning(_PATCH))
    centred = patch - patch.mean()
    return np.asarray(np.abs(fft2(centred * window)) ** 2 / (window**2).sum())


def _bands(patches: Sequence[NDArray[np.float64]], correlation: Correlation) -> tuple[float, ...]:
    """Std of the residual over the stated noise's in bands of frequency."""
    if len(patches) < _FEWEST_PATCHES:
        return ()
    measured = np.mean(patches, axis=0)
    stated = _windowed(correlation)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(_PATCH), np.fft.fftfreq(_PATCH), indexing="ij"))
    found = []
    for low, high in itertools.pairwise(BANDS):
        # The mean was taken off of each patch.
        inside = (frequency >= max(low, 1.5 / _PATCH)) & (frequency < high)
        found.append(float(np.sqrt(_ratio(measured[inside].sum(), stated[inside].sum()))))
    return tuple(found)


def _windowed(correlation: Correlation) -> NDArray[np.float64]:
    """Power that noise of a correlation has in a patch under its window: as smeared as what is measured."""
    from scipy.fft import fft2

    window = np.outer(np.hanning(_PATCH), np.hanning(_PATCH))
    size = 2 * _PATCH
    lags = np.fft.ifft2(correlation.spectrum(size, size)).real
    overlap = np.fft.ifft2(np.abs(np.fft.fft2(window, (size, size))) ** 2).real / (window**2).sum()
    product = lags * overlap
    # Lags beyond half a patch fold back, as frequencies of a patch are fewer.
    folded = product.reshape(2, _PATCH, 2, _PATCH).sum((0, 2))
    return np.asarray(np.abs(fft2(folded)))


class _Peaks:
    """Spectrum of residuals of one shape, unsmoothed."""

    def __init__(self) -> None:
        self._power: NDArray[np.float64] | float = 0.0
        self._count = 0

    def add(self, even: _Image) -> None:
        """Take in a residual that is alike everywhere."""
        from scipy.fft import rfft2

        window = np.outer(np.hanning(even.shape[0]), np.hanning(even.shape[1]))
        self._power = self._power + np.abs(rfft2(even * window)) ** 2
        self._count += 1

    def highest(self) -> float:
        """How many times the highest peak is what chance gives above the frequencies about it."""
        from scipy.ndimage import median_filter

        power = np.asarray(self._power)
        around = np.maximum(median_filter(power, _AROUND, mode="wrap"), 1e-3 * power.mean())
        down = np.abs(np.fft.fftfreq(power.shape[0]) * power.shape[0])
        slow = np.hypot(down[:, None], np.arange(power.shape[1])) <= _SLOW
        ratio = np.where(slow, 0, power / around)
        # The mean of n exponential variables, of which as many are drawn as there are frequencies.
        from scipy.special import gammaincinv

        chance = gammaincinv(self._count, 1 - 0.05 / power.size) / self._count
        return float(ratio.max() / chance)
