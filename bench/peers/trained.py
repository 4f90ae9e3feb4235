"""Self-supervised peers that train a network: the same network, slices, loop and time as our student.

R2R, SURE, UNSURE and Neighbor2Neighbor take their losses from deepinv; Noise2Void is its published
masking (its own package can no longer be installed); AP-BSN is its pixel-shuffle training and random
replacing refinement on our blind-spot network.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.data import Data
from bench.peers.deepinv_package import deepinv
from diffdenoise.config import Settings, Steps
from diffdenoise.method import blind_spot
from diffdenoise.method.choices import RATE_RANDOM, RATE_SYNTHETIC
from diffdenoise.method.recorruption import recorrupt
from diffdenoise.method.step_data import with_centre
from diffdenoise.method.student import denoise, squared_distance
from diffdenoise.model.orientations import run_turned
from diffdenoise.model.tiles import Channels
from diffdenoise.networks.blind_spot import BlindSpotNet
from diffdenoise.networks.start import load_student
from diffdenoise.networks.student import student_network
from diffdenoise.plan import Plan
from diffdenoise.scan.volume import in_memory
from diffdenoise.training.clock import StagePlan
from diffdenoise.training.fit import LossOf, fit
from diffdenoise.training.hardware import Hardware
from diffdenoise.training.randomness import generator
from diffdenoise.training.slices import Slices
from diffdenoise.types import Quiet, Stack


@dataclasses.dataclass
class Job:
    """What a trained method is given.

    Attributes
    ----------
    data : Data
        The case.
    plan : Plan
        Ours, for the choice of neighbour slices, so that all have the same inputs.
    settings : Settings
        Widths, patch, batch, learning rate, seed.
    seconds : float
        Time to train for.
    hardware : Hardware
        Device and precision.
    now : callable
        Source of seconds.
    synthetic_start : bool
        Whether the network begins with our synthetic weights instead of random ones.
    """

    data: Data
    plan: Plan
    settings: Settings
    seconds: float
    hardware: Hardware
    now: Callable[[], float]
    synthetic_start: bool = False

    def student(self) -> nn.Module:
        """Our student's network, untrained, the same start for every method of a seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            network = student_network(self.settings, self.plan.neighbours)
        if self.synthetic_start:
            load_student(network, self.plan.known)
        return self.hardware.place(network)

    def denoise(self, student: nn.Module, noisy: Tensor) -> Tensor:
        """Our student run on noise of the level that is told."""
        return denoise(student, noisy, self.data.told_std)

    def patches(self, slices: Slices, purpose: str, step: int) -> tuple[Tensor, torch.Generator]:
        """One batch of patches, and the generator for what else the step draws."""
        draws = generator(self.settings.seed, purpose, step)
        noisy = slices.patches(draws, self.settings.data.batch, self.settings.data.patch).noisy
        return noisy.to(self.hardware.device, memory_format=torch.channels_last), draws

    def fit(self, network: nn.Module, loss_of: LossOf, rate: float | None = None) -> Steps:
        """Train for the job's time, and return the steps done."""
        plan = StagePlan(None, self.seconds, self.now)
        usual = RATE_SYNTHETIC if self.synthetic_start else RATE_RANDOM
        with tempfile.TemporaryDirectory() as folder:
            fit(
                network,
                loss_of,
                plan,
                learning_rate=rate or self.settings.stage3.learning_rate or usual,
                hardware=self.hardware,
                folder=Path(folder),
                progress=Quiet(),
                checkpoint_s=3600.0,
            )
        network.eval()
        return plan.steps()

    def estimates(self, estimate_of: Callable[[Tensor], Tensor]) -> dict[str, Stack]:
        """Run an estimator on the scored slices; it gets (1, channels, h, w) and returns (1, 1, h, w).

        Returns
        -------
        dict of row name to scored slices
            "result", averaged over eight orientations as ours is, and "one-pass".
        """
        slices = Slices(in_memory(self.data.noisy), self.plan.neighbours)
        starts = np.cumsum([0, *(len(stack) for stack in self.data.noisy)])

        def run(item: Channels) -> Channels:
            # Turned arrays are views with negative strides, which torch does not take.
            tensor = torch.from_numpy(np.ascontiguousarray(item)).to(self.hardware.device)
            with torch.no_grad(), self.hardware.autocast():
                return estimate_of(tensor).float().cpu().numpy()

        found: dict[str, list[Stack]] = {"result": [], "one-pass": []}
        for s, k in self.data.scored:
            item = slices.whole(int(starts[s]) + k).numpy()
            found["result"].append(run_turned(run, item, range(ORIENTATIONS))[0, 0])
            found["one-pass"].append(run(item)[0, 0])
        return {row: np.stack(images) for row, images in found.items()}


#: Turned and mirrored copies that results are averaged over, where a row does not say one pass.
ORIENTATIONS = 8
Result = tuple[dict[str, Stack], dict[str, Any]]


class _Centre(nn.Module):
    """Our student as deepinv calls a model: the noisy slice alone goes in, the neighbours are kept here."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.student = job.student()
        self._job = job
        self.others: Tensor | None = None
        #: Changes the neighbours as the loss has changed the slice.
        self.also: Callable[[Tensor], Tensor] | None = None

    def hold(self, noisy: Tensor) -> Tensor:
        """Keep the neighbours of a batch; return its slices (batch, 1, height, width)."""
        self.others = noisy[:, 1:]
        return noisy[:, :1]

    def forward(self, y: Tensor, *_: Any, **__: Any) -> Tensor:
        others = self.others
        if others is not None and others.shape[1]:
            if others.shape[2:] != y.shape[2:] and self.also is not None:
                others = self.also(others)
            y = torch.cat([y, others], dim=1)
        return self._job.denoise(self.student, y)


def r2r(job: Job) -> Result:
    """Recorrupted-to-Recorrupted (Pang et al. 2021; Monroy et al. 2025), white noise of the told level."""
    dinv = deepinv()
    level = dinv.physics.GaussianNoise(job.data.told_std)
    loss = dinv.loss.R2RLoss(noise_model=level)
    centre = _Centre(job)
    physics = dinv.physics.Denoising(level)
    model = loss.adapt_model(centre)
    slices = Slices(in_memory(job.data.train), job.plan.neighbours)

    def loss_of(step: int) -> Tensor:
        noisy, draws = job.patches(slices, "r2r", step)
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=draws)))
        y = centre.hold(noisy)
        output = model(y, physics, update_parameters=True)
        value: Tensor = loss(x_net=output, y=y, physics=physics, model=model).mean()
        return value / job.data.told_std**2

    steps = job.fit(centre, loss_of)
    model.eval()
    torch.manual_seed(job.settings.seed)
    return job.estimates(lambda item: model(centre.hold(item), physics)), steps.model_dump()


def r2r_spectrum(job: Job) -> Result:
    """R2R told the noise's true covariance: recorrupted with noise of that kernel."""
    unit_of = dataclasses.replace(job.data.noise, std=1.0)
    student, alpha = job.student(), 0.5
    slices = Slices(in_memory(job.data.train), job.plan.neighbours)

    def loss_of(step: int) -> Tensor:
        noisy, draws = job.patches(slices, "r2r-spectrum", step)
        centre = noisy[:, :1]
        unit = unit_of.add_to_patches(torch.zeros_like(centre), draws)
        source, target = recorrupt(centre, unit, job.data.told_std, alpha)
        output = job.denoise(student, with_centre(noisy, source))
        return squared_distance(output, target) / job.data.told_std**2

    steps = job.fit(student, loss_of)
    return job.estimates(lambda item: job.denoise(student, item)), steps.model_dump()


def _sure(job: Job, *, unknown: bool) -> Result:
    dinv = deepinv()
    # Its finite difference needs single precision.
    job = dataclasses.replace(job, hardware=dataclasses.replace(job.hardware, bf16=False))
    start = job.data.estimated_std if unknown else job.data.told_std
    random = torch.Generator().manual_seed(job.settings.seed)
    loss = dinv.loss.SureGaussianLoss(start, unsure=unknown, rng=random)
    physics = dinv.physics.Denoising(dinv.physics.GaussianNoise(start))
    centre = _Centre(job)
    slices = Slices(in_memory(job.data.train), job.plan.neighbours)

    def loss_of(step: int) -> Tensor:
        noisy, _ = job.patches(slices, "sure", step)
        y = centre.hold(noisy)
        value: Tensor = loss(y=y, x_net=centre(y), physics=physics, model=centre).mean()
        return value / job.data.told_std**2

    steps = job.fit(centre, loss_of)
    return job.estimates(lambda item: centre(centre.hold(item))), steps.model_dump()


def sure(job: Job) -> Result:
    """Stein's unbiased risk estimate (Metzler et al. 2018), told the level."""
    return _sure(job, unknown=False)


def unsure(job: Job) -> Result:
    """SURE with unknown level (Tachella et al. 2025), started from the wavelet estimate."""
    return _sure(job, unknown=True)


def neighbor2neighbor(job: Job) -> Result:
    """Neighbor2Neighbor (Huang et al. 2021)."""
    dinv = deepinv()
    loss = dinv.loss.Neighbor2Neighbor()
    centre = _Centre(job)
    slices = Slices(in_memory(job.data.train), job.plan.neighbours)
    drawn: list[Tensor] = []
    make = loss.generate_mask_pair

    def remember(y: Tensor) -> Any:
        pair = make(y)
        drawn[:] = [pair[0]]
        return pair

    loss.generate_mask_pair = remember

    def halve(others: Tensor) -> Tensor:
        return torch.cat(
            [loss.generate_subimages(one, drawn[0]) for one in others.chunk(others.shape[1], dim=1)], dim=1
        )

    centre.also = halve

    def loss_of(step: int) -> Tensor:
        noisy, draws = job.patches(slices, "neighbor2neighbor", step)
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=draws)))
        y = centre.hold(noisy)
        value: Tensor = loss(y=y.contiguous(), physics=None, model=centre).mean()
        return value / job.data.told_std**2

    steps = job.fit(centre, loss_of)
    return job.estimates(lambda item: centre(centre.hold(item))), steps.model_dump()


#: Noise2Void: share of pixels masked in a step, and reach of the window that a replacement comes from.
_MASKED, _REACH = 0.002, 5


def noise2void(job: Job) -> Result:
    """Noise2Void (Krull et al. 2019): 0.2 % of pixels replaced by a random other within 11x11."""
    student = job.student()
    slices = Slices(in_memory(job.data.train), job.plan.neighbours)

    def loss_of(step: int) -> Tensor:
        noisy, draws = job.patches(slices, "noise2void", step)
        centre = noisy[:, :1]
        count, _, height, width = centre.shape
        chosen = max(1, round(_MASKED * height * width))
        item = torch.arange(count).repeat_interleave(chosen)
        row = torch.randint(height, (len(item),), generator=draws)
        column = torch.randint(width, (len(item),), generator=draws)
        offsets = torch.randint((2 * _REACH + 1) ** 2 - 1, (len(item),), generator=draws)
        # The middle of the window, the pixel itself, is left out.
        offsets = offsets + (offsets >= (2 * _REACH + 1) ** 2 // 2)
        down, right = offsets // (2 * _REACH + 1) - _REACH, offsets % (2 * _REACH + 1) - _REACH
        seen = centre.clone()
        seen[item, 0, row, column] = centre[
            item, 0, _mirror(row + down, height), _mirror(column + right, width)
        ]
        output = job.denoise(student, with_centre(noisy, seen))
        error = output[item, 0, row, column] - centre[item, 0, row, column]
        return error.square().mean() / job.data.told_std**2

    steps = job.fit(student, loss_of)
    return job.estimates(lambda item: job.denoise(student, item)), steps.model_dump()


def _mirror(index: Tensor, size: int) -> Tensor:
    index = index.abs()
    return torch.where(index >= size, 2 * (size - 1) - index, index)


#: AP-BSN's strides in training and inference; number of random masks and share of pixels in each.
_TRAIN_STRIDE, _TEST_STRIDE, _MASKS, _REPLACED = 5, 2, 8, 0.16


def ap_bsn(job: Job) -> Result:
    """AP-BSN (Lee et al. 2022) on our blind-spot network: slices alone, as it was published."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.settings.seed)
        network = job.hardware.place(BlindSpotNet(job.settings.stage1.width))
    slices = Slices(in_memory(job.data.train), 0)
    side = 16 * _TRAIN_STRIDE
    count = max(1, job.settings.data.batch * job.settings.data.patch**2 // side**2)

    def mean_of(y: Tensor, stride: int) -> Tensor:
        return _join(blind_spot.predict(network, _split(y, stride), 1, job.data.told_std)[0], stride)

    def loss_of(step: int) -> Tensor:
        draws = generator(job.settings.seed, "ap-bsn", step)
        noisy = slices.patches(draws, count, side).noisy.to(job.hardware.device)
        parts = _split(noisy, _TRAIN_STRIDE)
        return (
            blind_spot.predict(network, parts, 1, job.data.told_std)[0] - parts
        ).abs().mean() / job.data.told_std

    steps = job.fit(network, loss_of, job.settings.stage1.learning_rate)

    def refined(item: Tensor) -> Tensor:
        y = item[:, :1]
        height, width = y.shape[2:]
        pad = (0, -width % _TEST_STRIDE, 0, -height % _TEST_STRIDE)
        y = nn.functional.pad(y, pad, mode="replicate")
        first = mean_of(y, _TEST_STRIDE)
        draws = generator(job.settings.seed, "ap-bsn test", 0)
        total = torch.zeros_like(first)
        for _ in range(_MASKS):
            back = (torch.rand(y.shape, generator=draws) < _REPLACED).to(y.device)
            total += blind_spot.predict(network, torch.where(back, y, first), 1, job.data.told_std)[0]
        return (total / _MASKS)[..., :height, :width]

    return job.estimates(refined), steps.model_dump()


def _split(y: Tensor, stride: int) -> Tensor:
    """Pixel-shuffle: every `stride`-th pixel into an image of its own, (batch * stride^2, 1, h, w)."""
    parts = nn.functional.pixel_unshuffle(y, stride)
    return parts.reshape(-1, 1, *parts.shape[2:])


def _join(parts: Tensor, stride: int) -> Tensor:
    """Inverse of `_split`."""
    return nn.functional.pixel_shuffle(parts.reshape(-1, stride**2, *parts.shape[2:]), stride)


def _from_our_start(method: Callable[[Job], Result]) -> Callable[[Job], Result]:
    return lambda job: method(dataclasses.replace(job, synthetic_start=True))


#: Methods by name.
TRAINED: dict[str, Callable[[Job], Result]] = {
    "r2r": r2r,
    "r2r-start": _from_our_start(r2r),
    "r2r-spectrum": r2r_spectrum,
    "sure": sure,
    "unsure": unsure,
    "neighbor2neighbor": neighbor2neighbor,
    "noise2void": noise2void,
    "ap-bsn": ap_bsn,
}
