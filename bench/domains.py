"""Which domain to denoise in: as scanned, as scanned with the level told, or stabilised.

    python -m bench.domains --data DIR --seed 0
    python -m bench.domains --table

Four students of one size learn from nothing on the same synthetic pictures, white noise of three kinds
(Gaussian, Poisson-Gaussian, Rician) and the same number of steps; then each goes on by recorruption on the
noisy scan alone. They differ in what they see and give:

- `plain`: the noisy slice; the correction in intensities.
- `level`: beside it the logarithm of the noise level at each pixel, by its brightness; the correction in
  units of that level.
- `scaled`: the slice in units of the noise's std at half the range; the correction in these units.
- `stabilised`: the slice after a variance-stabilising map (generalised Anscombe; for Rician noise the
  integral of 1 / std); its way back is the exact unbiased inverse (Makitalo and Foi 2013). Errors count by
  the inverse's slope, as they do in intensities.

All are told the true parameters of the noise.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.cases import CASES
from bench.data import Data
from bench.kinds import Kind, PoissonGaussian, Rician, random_kind
from bench.page import fill
from diffdenoise.method.filters import gaussian_kernel, smooth
from diffdenoise.networks.unet import UNet
from diffdenoise.noise.rician import signal_of_denoised
from diffdenoise.training.hardware import Hardware, choose_hardware
from diffdenoise.trust.metrics import evaluate
from pretraining.source import Source

CELLS = Path(__file__).parent / "cells" / "domains"
PAGE = Path(__file__).parent.parent / "docs" / "method.md"
NAMES = ("plain", "level", "scaled", "stabilised")
#: Cases that are looked at, and how many evenly spaced slices of each are scored.
LOOKED_AT, SCORED = ("t1w-white", "ct-poisson", "colin-rician"), 8
#: Weight of an error is its patch's typical std to this negative power, as in pre-training.
_POWER = 1.5
#: Scale of stabilised values (noise of std 1) and of the logarithm of a level, for the network.
_STABLE_SCALE, _LOG_SCALE = 0.1, 0.5
_BRIGHTNESS_BLUR_PX = 1.5
_SIDE, _EMA = 64, 0.995
_FORMS = (("psnr", ".2f"), ("ssim", ".3f"))


class Domain:
    """What a network sees of noisy slices, and how its output becomes a denoised slice."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.channels = 4 if name == "level" else 3
        self._blur = gaussian_kernel(_BRIGHTNESS_BLUR_PX, torch.device("cpu"))

    def level(self, centre: Tensor, kind: Kind) -> Tensor:
        """Noise std at each pixel, by its brightness."""
        with torch.autocast("cpu", enabled=False):
            weight = smooth(torch.ones_like(centre[:1]), self._blur, self._blur)
            return kind.std(smooth(centre, self._blur, self._blur) / weight)

    def enter(self, noisy: Tensor, kind: Kind) -> Tensor:
        """Take noisy slices (count, 3, ...) to where the network works."""
        if self.name == "scaled":
            return noisy / kind.std(torch.tensor(0.5))
        return kind.stable(noisy) if self.name == "stabilised" else noisy

    def entered_mean(self, clean: Tensor, kind: Kind) -> Tensor:
        """Expected value there of what is noisy."""
        if self.name == "stabilised":
            return kind.stable_mean(clean)
        return self.enter(kind.mean(clean), kind)

    def denoise(
        self, network: nn.Module, entered: Tensor, level: Tensor, kind: Kind, alone: Tensor | bool
    ) -> Tensor:
        """Denoised slices in the domain; `level` is the noise's there, `alone` where neighbours are none."""
        centre = entered[:, :1]
        if self.name in ("scaled", "stabilised"):
            # About half the range, as for the others.
            half = self.enter(torch.full_like(centre[:, :, :1, :1], 0.5), kind)
            seen = _STABLE_SCALE * (entered - half)
        else:
            seen = 2 * entered - 1
        beside = torch.where(torch.as_tensor(alone), 0.0, seen[:, 1:])
        seen = torch.cat([seen[:, :1], beside], dim=1)
        if self.name == "level":
            seen = torch.cat([seen, _LOG_SCALE * (level.log() + 2.5).expand_as(centre)], dim=1)
        correction: Tensor = network(seen.contiguous(memory_format=torch.channels_last)).float()
        return centre + (level if self.name == "level" else 1.0) * correction

    def slope(self, clean_mean: Tensor, kind: Kind) -> Tensor:
        """Intensities that one unit of the domain is worth."""
        if self.name == "scaled":
            return kind.std(torch.tensor(0.5)) * torch.ones_like(clean_mean)
        return kind.std(clean_mean) if self.name == "stabilised" else torch.ones_like(clean_mean)

    def leave(self, denoised: Tensor, kind: Kind) -> Tensor:
        """Mean intensity that what is denoised stands for, by the exact unbiased inverse."""
        if self.name == "scaled":
            return denoised * kind.std(torch.tensor(0.5))
        if self.name != "stabilised":
            return denoised
        line = torch.linspace(0, 2, 4001)[None, None, None]
        if isinstance(kind, PoissonGaussian):
            line = torch.linspace(-0.5, 2, 5001)[None, None, None]
        given, wanted = kind.stable_mean(line).flatten(), kind.mean(line).flatten()
        values = np.interp(denoised.numpy(), given.numpy(), wanted.numpy())
        # Below what no signal gives: along the slope there, for the scatter of air to be seen.
        below = (denoised - given[0]).clamp_max(0) * kind.std(wanted[:1]).flatten()
        return torch.from_numpy(values).float() + below


def pretrain(domain: Domain, source: Source, seed: int, steps: int, batch: int, on: Hardware) -> UNet:
    """Learn clean pictures from noisy ones."""
    torch.manual_seed(seed)
    network = UNet(domain.channels, 1, 32)
    on.place(network)
    draws = torch.Generator().manual_seed(seed)

    def loss_of(_: int) -> Tensor:
        clean = source.clean(batch)[0]
        kind, std = random_kind(batch, draws)
        noisy = kind.add(clean, draws)
        alone = torch.rand((batch, 1, 1, 1), generator=draws) < 0.4
        mean = kind.mean(clean[:, :1])
        target = domain.entered_mean(clean[:, :1], kind)
        level = domain.level(noisy[:, :1], kind)
        output = domain.denoise(network, domain.enter(noisy, kind), level, kind, alone)
        error = (output - target) * domain.slope(mean, kind)
        return (error.square() / std**_POWER).mean()

    return fit(network, loss_of, steps, 1e-3, on)


def adapt(domain: Domain, network: UNet, data: Data, kind: Kind, steps: int, on: Hardware) -> UNet:
    """Go on by recorruption on the noisy scan alone."""
    draws = torch.Generator().manual_seed(1)
    varies = not isinstance(kind, PoissonGaussian) or float(kind.gain) > 0
    alpha = 0.5 if domain.name == "stabilised" or not varies else 1.0
    padded = [_with_neighbours(stack) for stack in data.noisy]
    alone = len(data.noisy[0]) == 1

    def loss_of(_: int) -> Tensor:
        noisy = _patches(padded, 8, draws)
        white = torch.randn(noisy[:, :1].shape, generator=draws)
        level = domain.level(noisy[:, :1], kind)
        entered = domain.enter(noisy, kind)
        added = white * (1.0 if domain.name == "stabilised" else domain.enter(level, kind))
        added = torch.cat([added, -added])
        entered, level = torch.cat([entered, entered]), torch.cat([level, level])
        first, second = entered[:, :1] + alpha * added, entered[:, :1] - added / alpha
        seen = torch.cat([first, entered[:, 1:]], dim=1)
        # The level is told that the network will be told at the end: with what recorruption adds to it, the
        # network would unlearn what a lower level means.
        output = domain.denoise(network, seen, level, kind, alone)
        if domain.name == "stabilised":
            # The level at each place, by what the source says of it, as far as it can be undone there.
            weight = domain.level(domain.leave(first.detach(), kind), kind)
            return ((output - second) * weight / weight.mean()).square().mean()
        return (
            ((output - second) / domain.enter(domain.level(domain.leave(first, kind), kind), kind))
            .square()
            .mean()
        )

    return fit(network, loss_of, steps, 1e-3, on)


def fit(network: UNet, loss_of: Any, steps: int, rate: float, on: Hardware) -> UNet:
    """AdamW, half a cosine, averaged weights."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=1e-4)
    average = {name: value.detach().clone() for name, value in network.named_parameters()}
    for step in range(steps):
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / 100)
            group["lr"] = rate * warm * 0.5 * (1 + math.cos(math.pi * step / steps))
        with on.autocast():
            loss = loss_of(step)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        decay = min(_EMA, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, value in network.named_parameters():
                average[name].lerp_(value, 1 - decay)
    network.load_state_dict(average)
    return network


def score(domain: Domain, network: UNet, data: Data, kind: Kind, on: Hardware) -> dict[str, float]:
    """PSNR in dB and SSIM of one pass over the scored slices."""
    places = data.scored[:: max(1, len(data.scored) // SCORED)]
    alone = len(data.noisy[0]) == 1
    padded = [_with_neighbours(stack) for stack in data.noisy]
    outputs = []
    with torch.no_grad(), on.autocast():
        for stack, number in places:
            noisy = padded[stack][number][None]
            entered = domain.enter(noisy, kind)
            level = domain.level(noisy[:, :1], kind)
            outputs.append(domain.leave(domain.denoise(network, entered, level, kind, alone), kind)[0, 0])
    clean = [np.asarray(data.clean[stack][number]) for stack, number in places]
    denoised = [output.float().numpy() for output in outputs]
    if isinstance(kind, Rician):
        denoised = list(signal_of_denoised([np.stack(denoised)], float(kind.part))[0])
    found = [
        evaluate(one[None], other[None], data_range=1.0, axis=0).denoised
        for one, other in zip(denoised, clean, strict=True)
    ]
    mean_square = np.mean([np.mean((a - b) ** 2) for a, b in zip(denoised, clean, strict=True)])
    return {
        "psnr": round(-10 * math.log10(float(mean_square)), 3),
        "ssim": round(float(np.mean([one.ssim for one in found])), 4),
    }


def _with_neighbours(stack: NDArray[np.float32]) -> Tensor:
    """(slices, 3, height, width): each, the one before, the one after; mirrored at the ends."""
    slices = torch.from_numpy(np.asarray(stack))
    last = len(slices) - 1
    numbers = range(len(slices))
    before = [min(abs(k - 1), last) for k in numbers]
    after = [k + 1 if k < last else max(last - 1, 0) for k in numbers]
    return torch.stack([slices, slices[before], slices[after]], dim=1)


def _patches(padded: list[Tensor], count: int, draws: torch.Generator) -> Tensor:
    """Random patches of random slices, turned and mirrored."""

    def draw(below: int) -> int:
        return int(torch.randint(below, (), generator=draws))

    found = []
    for _ in range(count):
        stack = padded[draw(len(padded))]
        slices = stack[draw(len(stack))]
        top, left = (draw(size - _SIDE + 1) for size in slices.shape[1:])
        patch = torch.rot90(slices[:, top : top + _SIDE, left : left + _SIDE], draw(4), (1, 2))
        found.append(patch.flip(2) if draw(2) else patch)
    return torch.stack(found)


def kind_of(data: Data) -> Kind:
    """The noise of a benchmark case, as it was made."""
    std = torch.full((1, 1, 1, 1), data.noise.std)
    if data.noise.kind == "rician":
        return Rician(std)
    share = 0.1 if data.noise.kind == "poisson-gaussian" else 1.0
    return PoissonGaussian(std**2 * (1 - share), std**2 * share)


def table(cells: Path) -> str:
    """Mean over the seeds that are there, in Markdown: PSNR in dB / SSIM at once, and after adaptation."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(cells.glob("seed-*.json"))]
    lines = [
        "| domain | seeds | "
        + " | ".join(f"{CASES[case].title}: at once | adapted" for case in LOOKED_AT)
        + " |"
    ]
    lines.append("|" + " --- |" * (2 + 2 * len(LOOKED_AT)))
    for name in NAMES:
        own = [one[name] for one in found if name in one]
        if not own:
            continue
        scores = [
            " / ".join(f"{np.mean([one[case][when][key] for one in own]):{form}}" for key, form in _FORMS)
            for case in LOOKED_AT
            for when in ("instant", "adapted")
        ]
        lines.append(f"| {name} | {len(own)} | " + " | ".join(scores) + " |")
    return "\n".join(lines)


def main() -> None:
    """Train them, score them, and store that; or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--data", type=Path, help="train, and store the scores")
    task.add_argument("--table", action="store_true", help="write the table of docs/method.md")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--domains", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--adaptation-steps", type=int, default=200)
    parser.add_argument("--stacks", type=int, default=160)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--cells", type=Path, default=CELLS)
    given = parser.parse_args()
    if given.table:
        PAGE.write_text(
            fill(PAGE.read_text("utf-8"), "domains", table(given.cells), "bench.domains"), "utf-8"
        )
        return
    on = choose_hardware("cpu")
    data = {name: CASES[name].load(given.data, given.seed) for name in LOOKED_AT}
    cell = given.cells / f"seed-{given.seed}.json"
    found: dict[str, Any] = json.loads(cell.read_text(encoding="utf-8")) if cell.is_file() else {}
    found |= {"steps": given.steps, "adaptation_steps": given.adaptation_steps, "machine": on.describe()}
    for name in given.domains:
        began = time.process_time()
        domain = Domain(name)
        source = Source(given.stacks, given.seed, torch.device("cpu"))
        drawn = time.process_time()
        network = pretrain(domain, source, given.seed, given.steps, given.batch, on)
        row: dict[str, Any] = {"cpu_s": round(time.process_time() - drawn)}
        print(name, f"pictures {drawn - began:.0f} s, training {row['cpu_s']} s", flush=True)
        start = {key: value.clone() for key, value in network.state_dict().items()}
        for case, each in data.items():
            kind = kind_of(each)
            network.load_state_dict(start)
            row[case] = {"instant": score(domain, network, each, kind, on)}
            if given.adaptation_steps:
                adapt(domain, network, each, kind, given.adaptation_steps, on)
                row[case]["adapted"] = score(domain, network, each, kind, on)
            print(name, case, row[case], flush=True)
        found[name] = row
        given.cells.mkdir(parents=True, exist_ok=True)
        cell.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
