"""Learn the starting weights of the three networks on synthetic pictures.

    python -m pretraining.train --steps 12000 --out FOLDER [--pause-after 600]

Stages 1 and 2 learn what they learn on a scan, from noisy pictures alone; the student learns to give the
clean picture. Two processes with `--only` train side by side. A long training goes in pieces: one that
paused, or was killed, goes on from its last state when the same command is given again, and ends with the
same weights as one that ran through.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from diffdenoise.networks.blind_spot import BlindSpotNet
from diffdenoise.networks.unet import UNet
from diffdenoise.training.hardware import Hardware, choose_hardware
from pretraining.losses import blind_spot_loss, diffusion_loss, student_loss
from pretraining.progress import Progress, State
from pretraining.scans import KINDS
from pretraining.source import Source
from pretraining.student import StudentForAll

NETWORKS = ("blind-spot", "diffusion", "student")
#: Decay of the averaged weights.
_EMA = 0.999
#: Steps in which the learning rate rises.
_WARM_UP = 200


@dataclass(frozen=True)
class Job:
    """A network, what it learns in a step, and its peak learning rate."""

    network: nn.Module
    loss_of: Callable[[], Tensor]
    rate: float


def make_networks() -> dict[str, nn.Module]:
    """Return untrained networks of the default widths, the student for three neighbours on either side."""
    return {
        "blind-spot": BlindSpotNet(16, neighbours=1),
        "diffusion": UNet(4, 1, 32, level_input=True),
        "student": StudentForAll(32),
    }


def jobs(source: Source, networks: dict[str, nn.Module], batch: int) -> dict[str, Job]:
    """What each network is to learn; stage 2's condition is the blind-spot network's output."""
    stage1, stage2, student = (networks[name] for name in NETWORKS)
    if not isinstance(student, StudentForAll):
        raise TypeError("jobs: expected the student for all noise")
    return {
        "blind-spot": Job(stage1, lambda: blind_spot_loss(source, stage1, batch), 2e-3),
        "diffusion": Job(stage2, lambda: diffusion_loss(source, stage2, stage1, batch), 1e-3),
        "student": Job(student, lambda: student_loss(source, student, batch), 1e-3),
    }


def fit(job: Job, progress: Progress, hardware: Hardware, state: State) -> bool:
    """Train a network, the learning rate falling along half a cosine; leaves averaged weights in it.

    Parameters
    ----------
    job : Job
        What to train.
    progress : Progress
        How much of it is done, and when to pause.
    hardware : Hardware
        Device and precision.
    state : State
        What is kept now and then, and gone on from.

    Returns
    -------
    bool
        Whether it came to its end; if not, it paused.
    """
    optimizer = torch.optim.AdamW(
        job.network.parameters(), lr=job.rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
    )
    own = dict(job.network.named_parameters())
    average = {name: parameter.detach().clone() for name, parameter in own.items()}
    step, smoothed = state.load(job.network, optimizer, average), 0.0
    first = step
    while (part := progress.part(step)) < 1 and not progress.pauses():
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
        step += 1
        smoothed += (float(loss.detach()) - smoothed) / min(step - first, 500)
        if progress.keeps():
            print(f"{step} steps, loss {smoothed:.4f}", flush=True)
            state.keep(job.network, optimizer, average, step)
    state.keep(job.network, optimizer, average, step)
    job.network.load_state_dict(average)
    return part >= 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the networks and write their weights, and how they came about."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--steps", type=int, required=True, help="for each network")
    parser.add_argument("--pause-after", type=float, metavar="SECONDS", help="stop then, to go on later")
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--stacks", type=int, default=480)
    parser.add_argument(
        "--scans", type=Path, metavar="DATA", help="folder of real scans' data sets, half of all"
    )
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
    progress = Progress(given.steps, given.pause_after)
    source = Source(given.stacks, given.seed, hardware.device, given.scans)
    given.out.mkdir(parents=True, exist_ok=True)
    made = {"steps": given.steps, "batch": given.batch, "stacks": given.stacks, "seed": given.seed}
    made |= {"scans": "" if given.scans is None else ", ".join(kind.files for kind in KINDS)}
    made |= {"device": hardware.describe(), "torch": torch.__version__}
    for name, job in jobs(source, networks, given.batch).items():
        if name not in given.only:
            continue
        print(name, flush=True)
        state = State(given.out, name, {key: str(value) for key, value in made.items()}, source.generator)
        if not fit(job, progress, hardware, state):
            print("paused; the same command goes on from here", flush=True)
            return


if __name__ == "__main__":
    main()
