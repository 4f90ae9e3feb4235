"""A whole scan through a student: what torch gives for whole slices, in tiles and portions of any size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from diffdenoise.method.student import denoise
from diffdenoise.model import denoiser
from diffdenoise.model.backends import OnnxBackend
from diffdenoise.model.denoiser import Denoiser, denoiser_of
from diffdenoise.model.tiles import Channels
from diffdenoise.noise.domain import Domain, EnteredVolume
from diffdenoise.noise.model import NoiseModel
from diffdenoise.noise.place import PlaceMap
from diffdenoise.scan.prepared import Prepared, prepare
from diffdenoise.scan.read import from_array
from diffdenoise.scan.volume import in_memory
from diffdenoise.training.slices import Slices
from diffdenoise.types import Quiet, Stack
from tests.conftest import make_volume
from tests.model.students import images, student, weights_of

#: Of the noise, so that what the student sees is about as large as a tenth of the range.
LEVEL = 0.08


def averaged(network: torch.nn.Module, noisy: torch.Tensor, turns: Sequence[int]) -> torch.Tensor:
    """Mean over quarter turns, and over those of the mirrored slice."""
    results = []
    for mirrored, quarters in [(one, two) for one in (False, True) for two in range(4)]:
        if 4 * mirrored + quarters not in turns:
            continue
        seen = torch.rot90(noisy, quarters, (2, 3))
        output = denoise(network, seen.flip(3) if mirrored else seen, LEVEL)
        results.append(torch.rot90(output.flip(3) if mirrored else output, -quarters, (2, 3)))
    return torch.stack(results).mean(0)


def by_torch(ready: Prepared, neighbours: int, turns: Sequence[int]) -> list[Stack]:
    """As the network is trained and run by torch."""
    slices = Slices(in_memory(ready.stacks), neighbours)
    network = student(1 + 2 * neighbours)
    with torch.no_grad():
        flat = [averaged(network, slices.whole(number), turns) for number in range(len(slices))]
    stacks, each = [], iter(flat)
    for stack in ready.stacks:
        stacks.append(np.stack([next(each)[0, 0].numpy() for _ in stack]))
    return stacks


def as_scanned(ready: Prepared) -> list[EnteredVolume]:
    """The volumes of a scan whose noise has one level everywhere."""
    domain = Domain(NoiseModel.constant(LEVEL), LEVEL)
    return [EnteredVolume(volume, domain, None) for volume in ready.volumes]


@pytest.mark.parametrize(
    ("neighbours", "turns"), [(0, (0,)), (1, range(8)), (2, range(4)), (1, (0, 2, 4, 6))]
)
def test_a_series_is_denoised_as_by_torch_in_whole_slices(neighbours: int, turns: Sequence[int]) -> None:
    ready = prepare(from_array(make_volume((150, 139, 6, 2))), 2)
    expected = by_torch(ready, neighbours, turns)
    backend = OnnxBackend(weights_of(student(1 + 2 * neighbours)), 1)
    found = Denoiser(backend, neighbours, 8, tuple(turns)).denoise(as_scanned(ready), LEVEL, Quiet())
    assert len(found) == 2
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_each_volume_is_denoised_where_its_noise_has_one_level_and_brought_back() -> None:
    ready = prepare(from_array(make_volume((40, 36, 6, 2))), 2)
    domain = Domain(NoiseModel((0.0, 1.0), (0.05, 0.15)), 0.1)
    places = [PlaceMap.of_grid(np.log([[[0.5, 2.0]]])), None]
    together = zip(ready.volumes, places, strict=True)
    volumes = [EnteredVolume(volume, domain, place) for volume, place in together]

    class Smooth:
        def run(self, channels: Channels) -> Channels:
            return 0.5 * channels[:, :1]

    found = Denoiser(Smooth(), 0, 8, (0,)).denoise(volumes, domain.level, Quiet())
    for denoised, volume, stack in zip(found, volumes, ready.stacks, strict=True):
        inside = volume.slab(0, 6)
        assert not np.allclose(inside, stack, atol=0.02)
        # Of units about the middle of the range, half is left.
        expected = volume.leave(0, 0.5 + (inside - 0.5) / 2)
        np.testing.assert_allclose(denoised, expected, atol=1e-5)


def test_slices_along_all_axes_are_averaged() -> None:
    ready = prepare(from_array(make_volume((20, 24, 28))), 2)
    volumes = as_scanned(ready)

    class DownAlone:
        """Sees how a slice changes downwards, and nothing of how it does to the right or to the next."""

        def run(self, channels: Channels) -> Channels:
            shifted = np.concatenate([channels[:, :1, :1], channels[:, :1, :-1]], axis=2)
            return 0.5 * (channels[:, :1] + shifted)

    told: list[int] = []

    class Told(Quiet):
        def advance(self, done: int, total: int | None, *_: object) -> None:
            assert total == 20 + 24 + 28
            told.append(done)

    one = Denoiser(DownAlone(), 0, 8, (0,))
    (found,) = one.denoise(volumes, LEVEL, Told(), 3)
    stack = volumes[0].slab(0, 28)
    expected = np.zeros_like(stack)
    for axis in range(3):
        # Down is the first axis of what is left of the three.
        down = 1 if axis == 0 else 0
        shifted = np.concatenate([np.take(stack, [0], down), np.delete(stack, -1, down)], axis=down)
        expected += (stack + shifted) / 6
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert told == list(range(1, 20 + 24 + 28 + 1))


def test_tiles_and_portions_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = prepare(from_array(make_volume((151, 140, 5))))
    backend = OnnxBackend(weights_of(student(3)), 1)
    sizes = []

    class Noted:
        def run(self, channels: Channels) -> Channels:
            sizes.append(channels.shape)
            return backend.run(channels)

    def denoised() -> Stack:
        sizes.clear()
        [stack] = Denoiser(Noted(), 1, 8, (0, 1, 2, 3)).denoise(as_scanned(ready), LEVEL, Quiet())
        return stack

    whole = denoised()
    assert max(shape[0] for shape in sizes) == 5
    monkeypatch.setattr(denoiser, "_MOST_FEATURES", 8 * 128**2)
    tiles = denoised()
    assert {shape[0] for shape in sizes} == {1}
    assert max(max(shape[2:]) for shape in sizes) <= 128
    assert np.array_equal(tiles, whole)


@pytest.mark.parametrize("width", [4, 32, 256])
def test_what_is_computed_at_once_is_bounded_for_any_width(width: int) -> None:
    side = Denoiser(OnnxBackend(weights_of(student()), 1), 1, width, (0,)).side
    assert side % 4 == 0
    assert side**2 * width <= max(32 * 640**2, 128**2 * width)
    assert width != 32 or side == 640


def test_a_student_in_training_is_run_as_users_will_run_it() -> None:
    network = student(5, 8)
    made = denoiser_of(network, [0, 2, 5, 7], "cpu", 1)
    assert (made.neighbours, made.width, made.turns) == (2, 8, (0, 2, 5, 7))
    noisy = images((2, 5, 20, 30))
    with torch.no_grad():
        expected = averaged(network, torch.from_numpy(noisy), made.turns).numpy()
        # Training goes on without it.
        network.exit.bias.add_(1)
    np.testing.assert_allclose(made.run(noisy, LEVEL), expected, atol=2e-5)
