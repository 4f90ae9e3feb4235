"""Filters without training: BM3D, BM4D, NLM. They get one slice (BM4D, DIPY: the volume) and a level."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cases import Data
from diffdenoise.types import Stack

Volume = NDArray[np.float64]


def _slices(data: Data, work: Callable[[Stack], Any]) -> Stack:
    """Run a 2-D filter on the scored slices."""
    return np.stack([work(data.noisy[s][k]) for s, k in data.scored]).astype(np.float32)


def _volumes(data: Data, work: Callable[[Stack], Any]) -> Stack:
    """Run a 3-D filter on each stack, and return the scored slices."""
    done = [np.asarray(work(stack)) for stack in data.noisy]
    return np.stack([done[s][k] for s, k in data.scored]).astype(np.float32)


def bm3d(data: Data, level: str) -> Stack:
    """BM3D (Dabov et al. 2007; Makinen et al. 2020 for a spectrum), package bm3d."""
    import bm3d as package

    _restore_trapz()
    return _slices(data, lambda image: package.bm3d(image, _level(data, level, image.shape)))


def bm4d(data: Data, level: str) -> Stack:
    """BM4D (Maggioni et al. 2013), package bm4d; BM3D has to do where there is one slice."""
    import bm4d as package

    _restore_trapz()
    # bm4d wants the third axis last; the slices go there.
    return _volumes(
        data,
        lambda stack: np.moveaxis(
            package.bm4d(np.moveaxis(stack, 0, 2), _level(data, level, stack.shape, slices_last=True)), 2, 0
        ),
    )


def _restore_trapz() -> None:
    """NumPy 2 renamed what both packages call where they are told a spectrum."""
    if not hasattr(np, "trapz"):
        setattr(np, "trapz", np.trapezoid)  # noqa: B010


def _level(
    data: Data, level: str, shape: tuple[int, ...], *, slices_last: bool = False
) -> float | NDArray[np.float64]:
    if level == "spectrum":
        spectrum = data.noise.spectrum(shape)
        return np.moveaxis(spectrum, 0, 2) if slices_last else spectrum
    return data.estimated_std if level == "estimated" else data.told_std


def nlm(data: Data) -> Stack:
    """Non-local means (Buades et al. 2005), scikit-image, with its own estimate of the level."""
    from skimage.restoration import denoise_nl_means, estimate_sigma

    def work(image: Stack) -> Any:
        std = float(estimate_sigma(image))  # type: ignore[no-untyped-call]
        return denoise_nl_means(image, 5, 6, h=0.8 * std, sigma=std, fast_mode=True)

    return _slices(data, work)


def dipy_nlm(data: Data) -> Stack:
    """Blockwise non-local means in 3-D (Coupe et al. 2008), DIPY, told the level."""
    from dipy.denoise.nlmeans import nlmeans

    rician = data.noise.kind == "rician"

    def work(stack: Stack) -> Any:
        volume = np.moveaxis(stack, 0, 2).astype(np.float64)
        return np.moveaxis(nlmeans(volume, data.told_std, rician=rician, num_threads=1), 2, 0)

    return _volumes(data, work)


#: Methods by name: called with the data, they return the scored slices.
FILTERS: dict[str, Callable[[Data], Stack]] = {
    "bm3d": partial(bm3d, level="true"),
    "bm3d-estimated": partial(bm3d, level="estimated"),
    "bm3d-spectrum": partial(bm3d, level="spectrum"),
    "bm4d": partial(bm4d, level="true"),
    "bm4d-estimated": partial(bm4d, level="estimated"),
    "bm4d-spectrum": partial(bm4d, level="spectrum"),
    "nlm": nlm,
    "dipy-nlm": dipy_nlm,
}
