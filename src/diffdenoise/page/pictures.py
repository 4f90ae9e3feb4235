"""Which slices a page shows, and their pictures: upright, in tones, small enough to be sent along."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import ShapeError
from diffdenoise.page.tiles import Mark, Picture, Tiles
from diffdenoise.page.tones import encode, residual_tones, share_tones, tones_for
from diffdenoise.scan.regions import find_regions
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.slices import choose_axis
from diffdenoise.scan.voxels import Voxels, as_voxels
from diffdenoise.trust.choice import blocks, object_of
from diffdenoise.trust.evidence import Place
from diffdenoise.trust.view import View, view_of
from diffdenoise.trust.window import thinned, window_of
from diffdenoise.types import Array

_Image = NDArray[np.float64]

#: Bytes that all pictures of a page take as text; a page is to stay under 3 MB.
PICTURE_BYTES = 2_500_000
#: How many slices are shown, and in which quality (None: exactly), the first that fits of each size.
_WAYS = ((10, None), (10, 95), (10, 88), (8, 82), (6, 75))
#: Bits that a pixel takes at least in the last of these ways: sizes that can't fit aren't tried.
_LEAST_BITS = 0.6
#: Side of the part that tells about how many bytes an image will take, pixels, and how many times the budget
#: that must be for the image not to be tried: there is most to see in the middle.
_MIDDLE, _TOO_MUCH = 384, 1.5
#: Longest side of a picture, pixels; WebP ends at 16383, and no screen shows more.
_LONGEST = 4096
#: The residual is black at minus this many times the noise's std, and white at plus as much.
RESIDUAL_STDS = 4.0
#: Slices that are looked at for where the scan's content begins and ends, and the share of the fullest one's
#: content from which on a slice has some.
_LOOKED_AT, _SOME = 48, 0.1
#: Pixels of a slice that the window is chosen by.
_SAMPLED = 40_000


def make_tiles(
    noisy: Scan,
    denoised: Scan,
    noise_std: float | None,
    uncertainty: Array | Voxels | None = None,
    places: Sequence[Place] = (),
    *,
    axis: int | None = None,
    budget: int = PICTURE_BYTES,
) -> Tiles:
    """Make the pictures of a page: evenly spaced slices through the scan's content, and those with places.

    Parameters
    ----------
    noisy, denoised : Scan
        Of the same shape. Slices are read one at a time.
    noise_std : float or None
        The noise's std in the scan's units, which fixes the scales of residual and uncertainty; None, or 0:
        the residual's own.
    uncertainty : array or Voxels, shape of the scans, optional
        In the scan's units.
    places : sequence of Place
        The most important first: the slices of at least five are shown.
    axis : int, optional
        Array axis across the slices; None: the scan's slice axis.
    budget : int
        Bytes that the pictures may take as text.

    Raises
    ------
    ShapeError
        If shapes differ.
    """
    held = None if uncertainty is None else as_voxels(uncertainty)
    for name, shape in (("denoised", denoised.shape), ("uncertainty", None if held is None else held.shape)):
        if shape is not None and shape != noisy.shape:
            raise ShapeError(f"{name}: found shape {shape}, expected {noisy.shape}")
    axis = choose_axis(noisy, axis) if noisy.ndim > 2 else None
    return _Maker(noisy, denoised, held, axis, noise_std, tuple(places)).make(budget)


class _Maker:
    """Reads slices, and turns them into pictures; what was made of a slice is kept until the size changes."""

    def __init__(
        self,
        noisy: Scan,
        denoised: Scan,
        uncertainty: Voxels | None,
        axis: int | None,
        noise_std: float | None,
        places: tuple[Place, ...],
    ) -> None:
        self.noisy, self.denoised, self.uncertainty = noisy, denoised, uncertainty
        self.axis, self.places = axis, places
        self.known = find_regions(noisy, axis).known
        self.count = 1 if axis is None else noisy.shape[axis]
        self.volumes = noisy.shape[3] if noisy.ndim == 4 else 1
        self.extent = (0, 0) if axis is None else self._content(axis)
        self.views: dict[tuple[int, int], View] = {}
        shown = chosen(self.extent, self.volumes, places, _WAYS[0][0])
        self.view = self._view(*shown[len(shown) // 2])
        values, residuals = self._sample(shown)
        self.window = window_of(noisy, self.view.display, values)
        self.tones = tones_for(self.window, thinned(noisy.voxels).astype(np.float64).ravel())
        self.noise_std = noise_std if noise_std is not None and noise_std > 0 else None
        own = float(residuals.std()) if residuals.size else 0.0
        self.level = self.noise_std or own or 1.0

    def make(self, budget: int) -> Tiles:
        """Make pictures in the best way that fits."""
        sides = [side for index, side in enumerate(self.noisy.shape[:3]) if index != self.axis]
        factor = math.ceil(max(sides) / _LONGEST)
        kinds = 3 + (self.uncertainty is not None)
        # A base64 text holds three bytes in four.
        bits = 8 * budget * 3 / 4
        while (
            factor < min(sides)
            and min(self._number(_WAYS[-1][0]), _WAYS[-1][0]) * kinds * math.prod(sides) * _LEAST_BITS
            > bits * factor**2
        ):
            factor += 1
        while True:
            ready: dict[tuple[int, int], dict[str, NDArray[np.uint8]]] = {}
            for count, quality in _WAYS:
                pictures = self._pictures(count, quality, factor, budget, ready)
                if pictures is not None:
                    return self._tiles(pictures, factor, quality)
            if factor >= min(sides):
                return self._tiles((), factor, None)
            factor += 1

    def _tiles(self, pictures: tuple[Picture, ...], factor: int, quality: int | None) -> Tiles:
        return Tiles(
            pictures,
            (self.count, self.volumes),
            self.tones,
            self.window,
            RESIDUAL_STDS * self.level,
            self.noise_std,
            self.level,
            self.view,
            factor,
            quality,
        )

    def _number(self, count: int) -> int:
        return len(chosen(self.extent, self.volumes, self.places, count))

    def _pictures(
        self,
        count: int,
        quality: int | None,
        factor: int,
        budget: int,
        ready: dict[tuple[int, int], dict[str, NDArray[np.uint8]]],
    ) -> tuple[Picture, ...] | None:
        """Make the pictures in one way; None where they don't fit."""
        shown = chosen(self.extent, self.volumes, self.places, count)
        for one in shown:
            if one not in ready:
                ready[one] = dict(self._tone(one, factor))
        middle = ready[shown[len(shown) // 2]]
        if len(shown) * sum(_guess(tones, quality) for tones in middle.values()) > _TOO_MUCH * budget:
            return None
        made, spent = [], 0
        for one in shown:
            images = {kind: encode(tones, quality) for kind, tones in ready[one].items()}
            spent += sum(_as_text(len(image)) for image in images.values())
            if spent > budget:
                return None
            height, width = ready[one]["noisy"].shape
            made.append(Picture(*one, height, width, images, self._marks(one, factor)))
        return tuple(made)

    def _tone(self, one: tuple[int, int], factor: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """Yield what is shown of a slice, in tones."""
        view, least = self._view(*one), self.tones.values[0]
        before, after = view.of(self.noisy.voxels), view.of(self.denoised.voxels)
        yield "noisy", self.tones.of(blocks(np.nan_to_num(before, nan=least), factor))
        yield "denoised", self.tones.of(blocks(np.nan_to_num(after, nan=least), factor))
        residual = np.nan_to_num(before - after, nan=0.0, posinf=0.0, neginf=0.0)
        yield "residual", residual_tones(blocks(residual, factor), RESIDUAL_STDS * self.level)
        if self.uncertainty is not None:
            doubt = np.nan_to_num(view.of(self.uncertainty), nan=0.0)
            yield "uncertainty", share_tones(blocks(doubt, factor), self.level)

    def _marks(self, one: tuple[int, int], factor: int) -> tuple[Mark, ...]:
        view = self._view(*one)
        height, width = (side for index, side in enumerate(self.noisy.shape[:3]) if index != self.axis)
        found = []
        for number, place in enumerate(self.places):
            if (place.volume, place.slice) != one:
                continue
            row, column, (rows, columns) = place.row, place.column, (height, width)
            if view.transposed:
                row, column, (rows, columns) = column, row, (width, height)
            row = rows - 1 - row if view.flipped_down else row
            column = columns - 1 - column if view.flipped_right else column
            found.append(
                Mark(number, (column + 0.5) / factor, (row + 0.5) / factor, place.size_px / 2 / factor)
            )
        return tuple(found)

    def _view(self, volume: int, index: int) -> View:
        if (volume, index) not in self.views:
            where = None if self.axis is None else index
            self.views[volume, index] = view_of(self.noisy, self.axis, where, volume)
        return self.views[volume, index]

    def _content(self, axis: int) -> tuple[int, int]:
        """The first and the last slice of the first volume that the object is in."""
        threshold = object_of(self.denoised.voxels, self.known)
        looked_at = np.unique(np.linspace(0, self.count - 1, min(self.count, _LOOKED_AT)).round().astype(int))
        held = []
        for k in looked_at.tolist():
            values = self.denoised.voxels.slab(axis, 0, k, k + 1)[0][::2, ::2]
            above = values > threshold
            if self.known is not None:
                above &= self.known.slab(axis, 0, k, k + 1)[0][::2, ::2]
            held.append(np.count_nonzero(above))
        some = looked_at[np.array(held) > _SOME * max(held)]
        return (int(some[0]), int(some[-1])) if some.size else (0, self.count - 1)

    def _sample(self, shown: list[tuple[int, int]]) -> tuple[_Image, _Image]:
        """Some values of the denoised slices, and of their residuals, where there is data."""
        values, residuals = [], []
        for one in shown:
            view = self._view(*one)
            after = view.of(self.denoised.voxels)
            residual = view.of(self.noisy.voxels) - after
            inside = np.isfinite(after) & np.isfinite(residual)
            if self.known is not None:
                inside &= view.of(self.known) > 0
            step = max(1, math.isqrt(after.size // _SAMPLED))
            cut = (slice(None, None, step),) * 2
            values.append(after[cut][inside[cut]])
            residuals.append(residual[cut][inside[cut]])
        return np.concatenate(values), np.concatenate(residuals)


def _guess(tones: NDArray[np.uint8], quality: int | None) -> float:
    """About how many bytes an image takes as text, by the middle of it."""
    top, left = (max(0, side - _MIDDLE) // 2 for side in tones.shape)
    part = tones[top : top + _MIDDLE, left : left + _MIDDLE]
    return _as_text(len(encode(part, quality))) * tones.size / part.size


def _as_text(size: int) -> int:
    """Bytes of base64: four characters for three bytes."""
    return 4 * math.ceil(size / 3)


def chosen(
    extent: tuple[int, int], volumes: int, places: Sequence[Place], count: int
) -> list[tuple[int, int]]:
    """Return which slices are shown, as (volume, slice), in order.

    Parameters
    ----------
    extent : (first, last)
        Slices between which the content lies.
    volumes : int
        Of the scan; beside slices of the first one, the middle of the last is shown.
    places : sequence of Place
        The most important first.
    count : int
        Slices at most: half of them are for places.
    """
    first, last = extent
    kept = list(dict.fromkeys((place.volume, place.slice) for place in places))[: count // 2]
    if volumes > 1:
        kept.append((volumes - 1, (first + last) // 2))
    found: set[tuple[int, int]] = set()
    # Some of those evenly spaced may be places' too: then there is room for more.
    for number in range(1, last - first + 2):
        spread = np.linspace(first, last, number) if number > 1 else np.array([(first + last) // 2])
        both = {*kept, *((0, round(each)) for each in spread.tolist())}
        found = both if len(found) < len(both) <= count else found
    return sorted(found)
