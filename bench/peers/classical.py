"""Filters without training: BM3D, BM4D, NLM, each with what its users would put around it.

They get one slice (BM4D, DIPY: the volume), and are told something of the noise: see `FILTERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data import Data, power_of
from bench.peers.stabilised import Stabiliser, anscombe, of_magnitudes
from diffdenoise.scan.prepared import prepare
from diffdenoise.scan.read import from_array
from diffdenoise.types import Stack

Volume = NDArray[np.float64]
#: A std, or a power spectral density as `Noise.spectrum` gives it.
Level = float | Volume
#: What is filtered, its level, and the way back.
Prepared = tuple[Volume, Level, Callable[[Volume], Volume]]
#: Draws that tell the spectrum which our statement means.
_DRAWS, _DRAWN_SIDE = 200, 128


@dataclass(frozen=True)
class Filter:
    """A filter and what it is told.

    Attributes
    ----------
    run : callable
        Takes the data, returns the scored slices.
    told : str
        What of the noise it is told, in words.
    applies : callable
        Whether it makes sense for the data: there is a spectrum to be told only where noise is correlated.
    inverts : bool
        Whether it undoes the bias of magnitudes itself.
    """

    run: Callable[[Data], Stack]
    told: str
    applies: Callable[[Data], bool] = lambda _: True
    inverts: bool = False


def _slices(data: Data, work: Callable[[Stack], Any]) -> Stack:
    """Run a 2-D filter on the scored slices."""
    return np.stack([work(data.noisy[s][k]) for s, k in data.scored]).astype(np.float32)


def _volumes(data: Data, work: Callable[[Stack], Any]) -> Stack:
    """Run a 3-D filter on each stack with scored slices, and return these."""
    done = {s: np.asarray(work(data.noisy[s])) for s in dict.fromkeys(s for s, _ in data.scored)}
    return np.stack([done[s][k] for s, k in data.scored]).astype(np.float32)


def _same(image: Volume) -> Volume:
    return image


def _level(data: Data, noisy: Stack) -> Prepared:
    return noisy.astype(np.float64), data.told_std, _same


def _estimated(data: Data, noisy: Stack) -> Prepared:
    return noisy.astype(np.float64), data.estimated_std, _same


def _spectrum(data: Data, noisy: Stack) -> Prepared:
    return noisy.astype(np.float64), data.noise.spectrum(noisy.shape), _same


def _repeats(data: Data, noisy: Stack) -> Prepared:
    return noisy.astype(np.float64), data.repeats_power(noisy.shape), _same


def _our_spectrum(data: Data, noisy: Stack) -> Prepared:
    """Level and spectrum as our plan has them, measured on noise drawn as it says."""
    import torch

    from bench.ours import plan_of
    from diffdenoise.config import Settings
    from diffdenoise.method.noise_draws import NoiseDraws

    plan = plan_of(data.train, Settings(), data.spacing_mm)
    span = prepare(from_array(data.train[0]), 0).intensities.range
    generator = torch.Generator().manual_seed(0)
    draws = NoiseDraws(plan.noise, torch.device("cpu"))
    unit = draws.unit((_DRAWS, 1, _DRAWN_SIDE, _DRAWN_SIDE), generator)[:, 0].numpy()
    std = plan.noise.typical_std * span
    return noisy.astype(np.float64), std**2 * power_of([unit], noisy.shape), _same


def _stabilised(data: Data, noisy: Stack) -> Prepared:
    stabiliser = _stabiliser(data.noise.kind, data.noise.std, data.noise.coils)
    return stabiliser.forward(noisy.astype(np.float64)), 1.0, stabiliser.inverse


@cache
def _stabiliser(kind: str, std: float, coils: int) -> Stabiliser:
    from bench.noise import Noise

    #: Brighter than any signal of a clean scan whose range is 0 to 1.
    highest = 4.0
    noise = Noise(kind, std, coils=coils)  # type: ignore[arg-type]
    if noise.is_magnitude:
        return of_magnitudes(std, coils, highest)
    return anscombe(noise.gain, noise.offset_variance, highest)


def _place(data: Data, noisy: Stack) -> Prepared:
    """Divided by the true map of levels first."""
    level = data.noise.std * data.noise.place(noisy.shape)
    return noisy / level, 1.0, lambda image: image * level


def bm3d(data: Data, way: Callable[[Data, Stack], Prepared]) -> Stack:
    """BM3D (Dabov et al. 2007; Makinen et al. 2020 for a spectrum), package bm3d."""
    import bm3d as package

    _restore_trapz()

    def work(image: Stack) -> Volume:
        ready, level, back = way(data, image)
        return back(package.bm3d(ready, level))

    return _slices(data, work)


def bm4d(data: Data, way: Callable[[Data, Stack], Prepared]) -> Stack:
    """BM4D (Maggioni et al. 2013), package bm4d; on a stack of one slice it has no third axis to gain by."""
    import bm4d as package

    _restore_trapz()

    def work(stack: Stack) -> Volume:
        ready, level, back = way(data, stack)
        # bm4d wants the third axis last; the slices go there.
        told = level if isinstance(level, float) else np.moveaxis(level, 0, 2)
        return back(np.moveaxis(package.bm4d(np.moveaxis(ready, 0, 2), told), 2, 0))

    return _volumes(data, work)


def _restore_trapz() -> None:
    """NumPy 2 renamed what both packages call where they are told a spectrum."""
    if not hasattr(np, "trapz"):
        setattr(np, "trapz", np.trapezoid)  # noqa: B010


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


def _is_correlated(data: Data) -> bool:
    return not data.noise.colour.is_white


def _is_stabilised(data: Data) -> bool:
    return data.noise.colour.is_white and data.noise.kind in ("rician", "chi", "poisson-gaussian")


#: Ways to tell BM3D and BM4D of the noise, by the ending of the method's name: what is done, what is told,
#: where it makes sense.
_WAYS: dict[str, tuple[Callable[[Data, Stack], Prepared], str, Callable[[Data], bool]]] = {
    "": (_level, "true level", lambda _: True),
    "-estimated": (_estimated, "wavelet estimate of the level", lambda data: data.noise.kind != "real"),
    "-spectrum": (_spectrum, "true level and spectrum", _is_correlated),
    "-our-spectrum": (
        _our_spectrum,
        "level and spectrum as our diagnosis reads them",
        lambda data: _is_correlated(data) or data.noise.kind == "real",
    ),
    "-repeats": (_repeats, "level and spectrum from repeats", lambda data: bool(data.differences)),
    "-stabilised": (_stabilised, "true law of the noise, stabilised, exact unbiased inverse", _is_stabilised),
    "-place": (_place, "true map of levels", lambda data: data.noise.rises_to > 1),
}
#: Methods by name.
FILTERS: dict[str, Filter] = {
    **{
        f"{name}{ending}": Filter(partial(run, way=way), told, applies, ending == "-stabilised")
        for name, run in (("bm3d", bm3d), ("bm4d", bm4d))
        for ending, (way, told, applies) in _WAYS.items()
    },
    "nlm": Filter(nlm, "nothing"),
    "dipy-nlm": Filter(dipy_nlm, "true level"),
}
