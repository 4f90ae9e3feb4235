"""Learn the starting weights of the three networks on synthetic pictures.

    python -m pretraining.train --minutes 10 --out src/diffdenoise/weights

Stages 1 and 2 learn what they learn on a scan, from noisy pictures alone; the student learns to give the
clean picture. Two processes with `--only` train side by side.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from diffdenoise.networks.blind_spot import BlindSpotNet
from diffdenoise.networks.unet import UNet
from diffdenoise.training.hardware import Hardware, choose_hardware
from pretraining.losses import blind_spot_loss, diffusion_loss, student_loss
from pretraining.pictures import SLICES
from pretraining.source import Source

NETWORKS = ("blind-spot", "diffusion", "student")
#: Decay of the averaged weights.
_EMA = 0.999
#: Seconds between weights written.
_KEEP_S = 120.0
#: Steps in which the learning rate rises.
_WARM_UP = 200


@dataclass(frozen=True)
class Job:
    """A network, what it learns in a step, and its peak learning rate."""

    network: nn.Module
    loss_of: Callable[[], Tensor]
    rate: float


def make_networks() -> dict[str, nn.Module]:
    """Return untrained networks of the default widths, for a slice and one neighbour on either side."""
    return {
        "blind-spot": BlindSpotNet(16, neighbours=(SLICES - 1) // 2),
        "diffusion": UNet(SLICES + 1, 1, 32, level_input=True),
        "student": UNet(SLICES, 1, 32),
    }


def jobs(source: Source, networks: dict[str, nn.Module], batch: int) -> dict[str, Job]:
    """What each network is to learn; stage 2's condition is the blind-spot network's output."""
    stage1, stage2, student = (networks[name] for name in NETWORKS)
    return {
        "blind-spot": Job(stage1, lambda: blind_spot_loss(source, stage1, batch), 2e-3),
        "diffusion": Job(stage2, lambda: diffusion_loss(source, stage2, stage1, batch), 1e-3),
        "student": Job(student, lambda: student_loss(source, student, batch), 1e-3),
    }


def fit(
    job: Job,
    done: Callable[[int], float],
    hardware: Hardware,
    keep: Callable[[dict[str, Tensor], int], None],
) -> None:
    """Train a network, the learning rate falling along half a cosine; leaves averaged weights in it.

    Parameters
    ----------
    job : Job
        What to train.
    done : callable
        Part of the training that is done, from the number of steps taken; 1 ends it.
    hardware : Hardware
        Device and precision.
    keep : callable
        Given the averaged weights and the steps taken, now and then and in the end.
    """
    optimizer = torch.optim.AdamW(
        job.network.parameters(), lr=job.rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
    )
    own = dict(job.network.named_parameters())
    average = {name: parameter.detach().clone() for name, parameter in own.items()}
    step, smoothed = 0, 0.0
    began = kept = time.monotonic()
    while (part := done(step)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = job.rate * min(1.0, (step + 1) / _WARM_UP) * 0.5 * (1 + math.cos(math.pi * part))
        with hardware.autocast():
            loss = job.loss_of()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(job.network.parameters(), 1.0)
        optimizer.step()
        decay = min(_EMA, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, parameter in own.items():
                average[name].lerp_(parameter, 1 - decay)
        smoothed += (float(loss.detach()) - smoothed) / min(step + 1, 500)
        step += 1
        if time.monotonic() - kept > _KEEP_S:
            kept = time.monotonic()
            print(f"{step} steps in {kept - began:.0f} s, loss {smoothed:.4f}", flush=True)
            keep(average, step)
    job.network.load_state_dict(average)
    keep(average, step)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the networks and write their weights, and how they came about."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="for each network")
    length.add_argument("--steps", type=int, help="for each network")
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--stacks", type=int, default=480)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--begin-with", type=Path, help="folder of weights to begin with")
    given = parser.parse_args(arguments)
    hardware = choose_hardware("auto")
    torch.manual_seed(given.seed)
    networks = make_networks()
    for name, network in networks.items():
        hardware.place(network)
        if given.begin_with is not None:
            network.load_state_dict(load_file(given.begin_with / f"{name}.safetensors"))
    began = time.monotonic()
    source = Source(given.stacks, given.seed, hardware.device)
    print(f"{given.stacks} stacks in {time.monotonic() - began:.0f} s", flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    for name, job in jobs(source, networks, given.batch).items():
        if name not in given.only:
            continue
        print(name, flush=True)
        record = {"batch": given.batch, "stacks": given.stacks, "seed": given.seed}
        record |= {"device": hardware.describe(), "torch": torch.__version__}
        path = given.out / f"{name}.safetensors"

        def keep(
            average: dict[str, Tensor], steps: int, path: Path = path, record: dict[str, object] = record
        ) -> None:
            # Half precision: the files are half as large, and training goes on from there anyway.
            weights = {key: value.half().contiguous() for key, value in average.items()}
            metadata = {key: str(value) for key, value in {"steps": steps, **record}.items()}
            save_file(weights, path, metadata=metadata)

        fit(job, _progress(given.minutes, given.steps), hardware, keep)


def _progress(minutes: float | None, steps: int | None) -> Callable[[int], float]:
    """Part of the training that is done after a number of steps, by the clock or by that number."""
    began = time.monotonic()
    if minutes is not None:
        return lambda step: (time.monotonic() - began) / (60 * minutes)
    return lambda step: step / (steps or 1)


if __name__ == "__main__":
    main()
