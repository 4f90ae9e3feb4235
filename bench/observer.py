"""A channelised Hotelling observer: whether a phantom's low-contrast inserts are seen after denoising.

PSNR does not ask that: a faint disc that is smoothed away hardly counts in it. The observer knows signal,
place and background exactly; its detectability d' is the distance of its answers with and without the
insert, in stds of these answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: Laguerre-Gauss channels, and how often repeats are drawn anew for the error bars.
_CHANNELS, _RESAMPLED = 6, 400
#: Side of a region over an insert's diameter; rings for the background, from and to, in radii.
_SIDE, _RING = 3.0, (1.6, 2.6)
#: An insert's inner part, in radii, whose mean is its contrast: its edge is blurred by the scanner.
_INNER = 0.75


@dataclass(frozen=True)
class Insert:
    """A disc in a phantom.

    Attributes
    ----------
    row, column : float
        Its middle in pixels.
    diameter_px : float
    contrast : float
        To its surroundings, in the data's units.
    name : str
    """

    row: float
    column: float
    diameter_px: float
    contrast: float
    name: str


@dataclass(frozen=True)
class Phantom:
    """Repeats with and without inserts.

    Attributes
    ----------
    inserts : tuple of Insert
    present : tuple of bool
        Of each scored slice, whether the inserts are in it.
    centre : (float, float)
        Middle of the phantom, about which noise is alike at the same distance.
    """

    inserts: tuple[Insert, ...]
    present: tuple[bool, ...]
    centre: tuple[float, float]


def channels(diameter_px: float, side: int) -> Array:
    """Laguerre-Gauss functions about the middle of a region, (side * side, channels), each of norm 1.

    Parameters
    ----------
    diameter_px : float
        Of the signal; the Gaussian's width is its diameter.
    side : int
        Odd side of the region in pixels.

    References
    ----------
    Gallas and Barrett 2003, "Validating the use of channels to estimate the ideal linear observer".
    """
    from scipy.special import eval_laguerre

    steps = np.arange(side) - side // 2
    squared = 2 * np.pi * (steps[:, None] ** 2 + steps**2) / (1.5 * diameter_px) ** 2
    found = [np.exp(-squared / 2) * eval_laguerre(order, squared) for order in range(_CHANNELS)]
    flat = np.stack([one.ravel() for one in found], axis=1)
    return np.asarray(flat / np.linalg.norm(flat, axis=0))


def detectability(present: Array, absent: Array) -> float:
    """Detectability d' of channel outputs, corrected for the number of samples.

    Parameters
    ----------
    present, absent : array (samples, channels)
        With and without the signal.

    Returns
    -------
    float
        0 where there is no more difference than chance makes.

    References
    ----------
    Hotelling's T^2 and its unbiased form as in Wunderlich and Noo 2009, "Estimation of channelized Hotelling
    observer performance with known class means or known difference of class means".
    """
    n, m, size = len(present), len(absent), present.shape[1]
    freedom = n + m - 2
    if freedom <= size + 1:
        raise ValueError(f"detectability: {n} + {m} samples are too few for {size} channels")
    difference = present.mean(0) - absent.mean(0)
    scatter = sum((one - one.mean(0)).T @ (one - one.mean(0)) for one in (present, absent)) / freedom
    squared = float(difference @ np.linalg.solve(scatter, difference))
    return float(np.sqrt(max(0.0, squared * (freedom - size - 1) / freedom - size * (1 / n + 1 / m))))


def observe(images: Array, phantom: Phantom, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Contrast and detectability of each insert, with their standard errors.

    Parameters
    ----------
    images : array (slices, height, width)
        Repeats with and without the inserts, as `phantom.present` says.
    seed : int
        Of the resampling, which draws repeats, not regions, as those of one repeat belong together.

    Returns
    -------
    dict by insert
        "contrasts", one an image, in its units; the "contrast" that is their difference with and without the
        insert, "contrast_se", "d", "d_se".
    """
    present = np.array(phantom.present)
    found = {}
    for insert in phantom.inserts:
        shown, hidden = _outputs(images, insert, phantom, present)
        contrasts = np.array([_contrast(image, insert) for image in images])
        with_it, without = contrasts[present], contrasts[~present]
        rng = np.random.default_rng(seed)
        draws = np.array(
            [
                (
                    with_it[a].mean() - without[b].mean(),
                    detectability(shown[a], hidden[b].reshape(-1, _CHANNELS)),
                )
                for a, b in (
                    (rng.integers(len(shown), size=len(shown)), rng.integers(len(hidden), size=len(hidden)))
                    for _ in range(_RESAMPLED)
                )
            ]
        )
        found[insert.name] = {
            "contrasts": contrasts.tolist(),
            "contrast": float(with_it.mean() - without.mean()),
            "contrast_se": float(draws[:, 0].std()),
            "d": detectability(shown, hidden.reshape(-1, _CHANNELS)),
            "d_se": float(draws[:, 1].std()),
        }
    return found


def _outputs(
    images: Array, insert: Insert, phantom: Phantom, present: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Channel outputs with the insert (repeats, channels), and without (repeats, places, channels).

    Without it, places all about the phantom's middle serve: the channels are round, and so is the noise's
    dependence on place.
    """
    side = 2 * int(_SIDE * insert.diameter_px / 2) + 1
    functions = channels(insert.diameter_px, side)
    away = insert.row - phantom.centre[0], insert.column - phantom.centre[1]
    radius, start = np.hypot(*away), np.arctan2(*away)
    count = max(4, int(2 * np.pi * radius / (1.2 * insert.diameter_px)))
    angles = start + 2 * np.pi * np.arange(count) / count
    places = [
        (phantom.centre[0] + radius * np.sin(angle), phantom.centre[1] + radius * np.cos(angle))
        for angle in angles
    ]

    def seen(image: Array, row: float, column: float) -> Array:
        region = _region(image, row, column, side)
        return np.asarray((region - region.mean()).ravel() @ functions)

    shown = np.array([seen(image, insert.row, insert.column) for image in images[present]])
    hidden = np.array([[seen(image, *place) for place in places] for image in images[~present]])
    return shown, hidden


def _region(image: Array, row: float, column: float, side: int) -> Array:
    top, left = round(row) - side // 2, round(column) - side // 2
    if min(top, left) < 0 or top + side > image.shape[0] or left + side > image.shape[1]:
        raise ValueError(f"observer: a region of {side} pixels at {row:g}, {column:g} leaves the image")
    return image[top : top + side, left : left + side]


def _contrast(image: Array, insert: Insert) -> float:
    """Mean inside of an insert less that of a ring around it."""
    rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
    radii = np.hypot(rows - insert.row, columns - insert.column) / (insert.diameter_px / 2)
    ring = (radii > _RING[0]) & (radii < _RING[1])
    return float(image[radii < _INNER].mean() - image[ring].mean())


def contrast_kept(row: dict[str, Any], noisy: dict[str, Any]) -> tuple[float, float]:
    """Contrast of all inserts together as a share of that in the noisy repeats, and its standard error.

    Both are of the same repeats, so that the noise that they share cancels; repeats are drawn anew.
    """
    names = list(noisy["inserts"])
    weights = np.array([float(name.split(" ")[0]) ** 2 for name in names])
    present = np.array(noisy["present"])

    def shares(one: dict[str, Any], drawn: NDArray[np.intp], absent: NDArray[np.intp]) -> float:
        contrasts = np.array([one["inserts"][name]["contrasts"] for name in names])
        return float(weights @ (contrasts[:, drawn].mean(1) - contrasts[:, absent].mean(1)) / weights.sum())

    yes, no = np.flatnonzero(present), np.flatnonzero(~present)
    rng = np.random.default_rng(0)
    draws = [(rng.choice(yes, len(yes)), rng.choice(no, len(no))) for _ in range(_RESAMPLED)]
    ratios = [shares(row, *drawn) / shares(noisy, *drawn) for drawn in draws]
    return shares(row, yes, no) / shares(noisy, yes, no), float(np.std(ratios))
