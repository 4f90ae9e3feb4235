"""The networks of the three stages as training begins with them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from diffdenoise.networks.blind_spot import BlindSpotNet
from diffdenoise.networks.start import load_start, load_student
from diffdenoise.networks.student import student_network
from diffdenoise.networks.unet import UNet
from diffdenoise.plan import Plan
from diffdenoise.training.hardware import Hardware


@dataclass(frozen=True)
class Networks:
    """The blind-spot network, the diffusion model's F, and the student, on a device."""

    blind_spot: BlindSpotNet
    diffusion: UNet
    student: UNet


def begin(plan: Plan, hardware: Hardware) -> Networks:
    """Return networks with the weights that come with the package, or random ones of the run's seed."""
    settings, neighbours = plan.settings, plan.neighbours
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        networks = Networks(
            hardware.place(BlindSpotNet(settings.stage1.width, neighbours=neighbours)),
            # Residual, condition and the neighbours go in.
            hardware.place(UNet(2 + 2 * neighbours, 1, settings.stage2.width, level_input=True)),
            new_student(plan, hardware),
        )
    if settings.starts_synthetic("stage1"):
        load_start(networks.blind_spot, "blind-spot")
    if settings.starts_synthetic("stage2"):
        load_start(networks.diffusion, "diffusion")
    if settings.starts_synthetic("stage3"):
        load_student(networks.student, plan.known)
    return networks


def new_student(plan: Plan, hardware: Hardware) -> UNet:
    """Return a student that knows nothing yet, to put weights into."""
    return hardware.place(student_network(plan.settings, plan.neighbours))
