"""Scaled intensities (about 0 to 1) to what the networks see (about -1 to 1), and back."""

from __future__ import annotations

from torch import Tensor


def signed(intensities: Tensor) -> Tensor:
    """Map 0..1 to -1..1, any shape."""
    return 2 * intensities - 1


def unsigned(values: Tensor) -> Tensor:
    """Map -1..1 to 0..1, any shape."""
    return values / 2 + 0.5
