"""Windows of slices that no training learns from: what it has learned is judged there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """A rectangle of a slice, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Place:
    """A window of a slice.

    Attributes
    ----------
    number : int
        Of the slice.
    window : Window
        Part of it.
    """

    number: int
    window: Window


def learned(held_out: Sequence[Place], number: int, window: Window) -> Tensor:
    """Return where a window of a slice may be learned from.

    Parameters
    ----------
    held_out : sequence of Place
        What may not be.
    number, window
        Slice, and the window of it.

    Returns
    -------
    Tensor (height, width)
        1, or 0 where it is held out.
    """
    found = torch.ones(window.height, window.width)
    for place in held_out:
        if place.number == number:
            top, left = place.window.top - window.top, place.window.left - window.left
            bottom, right = top + place.window.height, left + place.window.width
            found[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = 0
    return found
