"""An exported model as a network of torch, for programs that run such.

Copied into MONAI bundles as it stands: it takes nothing else of this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

#: Percentiles that span a scan's intensity range.
_PERCENTILES = (0.5, 99.5)
#: Slices are taken to be thicker than their pixels are wide from this ratio on.
_CLEARLY_THICKER = 1.2
#: Slices that are computed at once.
_AT_ONCE = 4

Array = NDArray[np.float32]


class OnnxDenoiser(nn.Module):
    """Denoises whole scans in their own intensities.

    Parameters
    ----------
    path : str or path
        ONNX file of the model.
    axis : int, optional
        Axis across the slices of a volume; None: the one with clearly the largest voxels, else the one with
        clearly the fewest, else the last.
    """

    def __init__(self, path: str | Path, axis: int | None = None) -> None:
        super().__init__()
        self._session = onnxruntime.InferenceSession(
            str(path), providers=onnxruntime.get_available_providers()
        )
        self._neighbours = int(self._session.get_inputs()[0].shape[1]) // 2
        self._axis = axis

    def forward(self, image: Tensor) -> Tensor:
        """Denoise images (n, 1, height, width) or volumes (n, 1, x, y, z); each is a whole scan."""
        sizes = self._voxel_sizes(image)
        scans = np.asarray(image.detach().cpu(), dtype=np.float32)
        if scans.ndim not in (4, 5) or scans.shape[1] != 1:
            raise ValueError(f"found shape {scans.shape}; expected (n, 1, height, width) or (n, 1, x, y, z)")
        found = np.stack([self._denoise(scan, sizes)[None] for scan in scans[:, 0]])
        # A clone keeps what the tensor says of the scan's place in space.
        denoised = image.detach().clone().float()
        denoised.copy_(torch.from_numpy(found))
        return denoised

    def _denoise(self, scan: Array, sizes: Sequence[float] | None) -> Array:
        low, high = np.percentile(scan, _PERCENTILES)
        if not low < high:
            low, high = scan.min(), scan.max()
        axis = self._axis_of(scan.shape, sizes)
        slices = scan[None] if axis is None else np.moveaxis(scan, axis, 0)
        count = len(slices)
        if count < max(1, 2 * self._neighbours):
            raise ValueError(f"found {count} slices; the model takes {self._neighbours} on either side")
        ends = {"low": np.float32(low), "high": np.float32(high)}
        done = []
        for first in range(0, count, _AT_ONCE):
            places = range(first, min(first + _AT_ONCE, count))
            noisy = np.stack([slices[_beside(place, self._neighbours, count)] for place in places])
            inputs = {"noisy": noisy, **{name: np.asarray(value) for name, value in ends.items()}}
            done.append(self._session.run(["denoised"], inputs)[0][:, 0])
        found = np.concatenate(done)
        return np.asarray(found[0] if axis is None else np.moveaxis(found, 0, axis))

    def _axis_of(self, shape: tuple[int, ...], sizes: Sequence[float] | None) -> int | None:
        """Axis across the slices; None: a single image."""
        if len(shape) == 2:
            return None
        return _across(shape, sizes) if self._axis is None else self._axis

    def _voxel_sizes(self, image: Tensor) -> list[float] | None:
        """Voxel sizes that a tensor with a place in space tells; None: another one."""
        affine = getattr(image, "affine", None)
        if affine is None or image.ndim != 5:
            return None
        affine = np.asarray(affine, dtype=np.float64).reshape(-1, 4, 4)[0]
        return [float(size) for size in np.linalg.norm(affine[:3, :3], axis=0)]


def _beside(place: int, neighbours: int, count: int) -> list[int]:
    """A slice and those beside it, before, after, nearest first; mirrored beyond the ends."""
    steps = [side * step for step in range(1, neighbours + 1) for side in (-1, 1)]
    return [place, *(place + step if 0 <= place + step < count else place - step for step in steps)]


def _across(shape: tuple[int, ...], sizes: Sequence[float] | None) -> int:
    """The axis along which a volume was probably acquired."""
    if sizes is not None:
        *_, second, largest = sorted(sizes)
        if largest > _CLEARLY_THICKER * second:
            return list(sizes).index(largest)
    fewest, second, _ = sorted(shape)
    return shape.index(fewest) if 2 * fewest < second else 2
