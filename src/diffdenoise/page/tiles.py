"""The pictures of a page: one slice each, in tones, with what is marked in it."""

from __future__ import annotations

from dataclasses import dataclass, field

from diffdenoise.page.tones import Tones
from diffdenoise.trust.view import View
from diffdenoise.trust.window import Window


@dataclass(frozen=True)
class Mark:
    """A suspicious place in a picture.

    Attributes
    ----------
    place : int
        Its number in the list of places, from 0.
    x, y : float
        From the picture's left and upper edge to its middle, pixels of the picture.
    radius : float
        Pixels of the picture.
    """

    place: int
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Picture:
    """One slice.

    Attributes
    ----------
    volume, slice : int
        Which one.
    height, width : int
        Pixels.
    images : dict of str to bytes
        WebP by what it shows: "noisy", "denoised", "residual", and "uncertainty" where that is known.
    marks : tuple of Mark
        Suspicious places in it.
    """

    volume: int
    slice: int
    height: int
    width: int
    images: dict[str, bytes] = field(repr=False)
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Tiles:
    """The pictures of a page, and how they are to be read.

    Attributes
    ----------
    pictures : tuple of Picture
        In the order of volumes and slices.
    counts : (slices, volumes)
        Of the scan.
    tones : Tones
        Of the noisy and the denoised pictures.
    window : Window
        That they are first shown in.
    bound : float
        The residual's tones end at plus and minus this, in the scan's units.
    noise_std : float or None
        That the bound was chosen by; None: the residual's own.
    top : float
        The uncertainty's tones end at this, in the scan's units.
    view : View
        How slices are turned, which directions they show, and how large a pixel of the scan is.
    factor : int
        Pixels of the scan along a side of one of the pictures.
    quality : int or None
        Of the compression, 0 to 100; None: nothing was lost.
    """

    pictures: tuple[Picture, ...]
    counts: tuple[int, int]
    tones: Tones
    window: Window
    bound: float
    noise_std: float | None
    top: float
    view: View
    factor: int
    quality: int | None
