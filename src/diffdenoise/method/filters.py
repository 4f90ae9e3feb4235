"""Separable filters on images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def gaussian_kernel(std_px: float, device: torch.device) -> Tensor:
    """Sampled Gaussian of sum 1; a single 1 for std 0."""
    if std_px <= 0:
        return torch.ones(1, device=device)
    reach = max(1, round(4 * std_px))
    offsets = torch.arange(-reach, reach + 1, device=device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / std_px) ** 2)
    return kernel / kernel.sum()


def smooth(image: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Separable convolution with zeros outside, same size (batch, 1, height, width)."""
    rows = functional.conv2d(image, down[None, None, :, None], padding=(len(down) // 2, 0))
    return functional.conv2d(rows, right[None, None, None, :], padding=(0, len(right) // 2))
