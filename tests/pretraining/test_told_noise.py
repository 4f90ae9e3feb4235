"""Noise with what the student is told of it."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from diffdenoise.networks.known_noise import FEATURES, UNIT
from pretraining.losses import student_loss
from pretraining.pictures import SLICES
from pretraining.source import Source
from pretraining.student import StudentForAll
from pretraining.told_noise import ToldNoise, add_told_noise

COUNT, SIDE = 400, 32


@pytest.fixture(scope="module")
def clean() -> Tensor:
    return torch.rand((COUNT, SLICES, 1, 1), generator=torch.Generator().manual_seed(1)).expand(
        -1, -1, SIDE, SIDE
    )


@pytest.fixture(scope="module")
def spacing() -> Tensor:
    return torch.rand((COUNT, 1, 1, 1), generator=torch.Generator().manual_seed(2)) * 5.5 + 0.5


@pytest.fixture(scope="module")
def drawn(clean: Tensor, spacing: Tensor) -> ToldNoise:
    return add_told_noise(clean, spacing, torch.Generator().manual_seed(0))


def near_and_far(drawn: ToldNoise) -> tuple[Tensor, Tensor]:
    """Whether one, and whether three slices on either side are told of."""
    near, far = drawn.features[:, -6] > 0, drawn.features[:, -5] > 0
    return near, far


def magnitudes(drawn: ToldNoise) -> Tensor:
    return drawn.features[:, -2] > 0


def test_the_level_that_is_told_is_about_right(drawn: ToldNoise) -> None:
    off = (drawn.told_std / drawn.std).log().abs().flatten()
    assert float(off.max()) <= 0.2001
    assert float(off.max()) > 0.12
    assert 0.4 < float((off < 1e-6).float().mean()) < 0.6


def test_all_that_is_told_is_a_number(drawn: ToldNoise) -> None:
    assert drawn.features.shape == (COUNT, FEATURES)
    assert torch.isfinite(drawn.features).all()
    assert float(drawn.features.abs().max()) < 8
    assert torch.isfinite(drawn.noisy).all()


def test_slices_that_are_not_there_are_nothing_and_told_of(drawn: ToldNoise, spacing: Tensor) -> None:
    near, far = near_and_far(drawn)
    nothing = (drawn.noisy == 0.5).flatten(2).all(2)
    assert torch.equal(nothing[:, 1:3], ~near[:, None].expand(-1, 2))
    assert torch.equal(nothing[:, 3:], ~far[:, None].expand(-1, 4))
    assert not nothing[:, 0].any()
    assert 0.6 < float(near.float().mean()) < 0.8
    assert 0.02 < float(far.float().mean()) < 0.15
    assert (spacing.flatten()[far] < 2).all()


def test_a_distance_is_told_of_slices_that_are_there(drawn: ToldNoise, spacing: Tensor) -> None:
    near, _ = near_and_far(drawn)
    spaced = drawn.features[:, -4] > 0
    assert not spaced[~near].any()
    assert 0.65 < float(spaced[near].float().mean()) < 0.85
    torch.testing.assert_close(drawn.features[:, -3], spaced * spacing.flatten().log())


def test_where_there_is_no_data_there_is_no_noise(drawn: ToldNoise) -> None:
    holes = (drawn.known == 0).flatten(1)
    some = holes.any(1)
    assert 0.04 < float(some.float().mean()) < 0.16
    for noisy, hole in zip(drawn.noisy[some].flatten(2), holes[some], strict=True):
        assert (noisy[:, hole].std(1, correction=0) < 1e-6).all()
        assert float(noisy[0, ~hole].std()) > 0.003 or int((~hole).sum()) < 50


def test_the_mean_that_is_told_is_that_of_the_noise(drawn: ToldNoise) -> None:
    error = torch.where(drawn.known > 0, (drawn.noisy[:, :1] - drawn.mean) / drawn.std, 0)
    for part in (magnitudes(drawn), ~magnitudes(drawn)):
        assert abs(float(error[part].mean())) < 0.03


def test_levels_are_as_they_are_told_but_where_they_vary(drawn: ToldNoise) -> None:
    apart = ((drawn.noisy[:, :1] - drawn.mean) / drawn.std)[(drawn.known > 0).flatten(1).all(1)]
    stds = apart.square().mean((1, 2, 3)).sqrt()
    assert float(stds.median()) == pytest.approx(1, abs=0.06)
    assert 0.7 < float(((stds - 1).abs() < 0.15).float().mean()) < 0.95


def test_no_magnitude_is_below_the_zero_that_is_told(drawn: ToldNoise) -> None:
    some = magnitudes(drawn)
    assert 0.08 < float(some.float().mean()) < 0.22
    zero = 0.5 + drawn.features[:, -1] * drawn.told_std.flatten() / UNIT
    least = torch.where(drawn.known > 0, drawn.noisy[:, :1], 9.0).flatten(1).amin(1)
    assert (least[some] >= zero[some] - 1e-5).all()
    assert (zero[some] <= 1e-5).all()
    assert (drawn.features[~some, -1] == 0).all()


def test_at_its_ends_a_stack_is_mirrored(drawn: ToldNoise) -> None:
    near, _ = near_and_far(drawn)
    same = (drawn.noisy[:, 1] == drawn.noisy[:, 2]).flatten(1).all(1)
    assert 0.01 < float(same[near].float().mean()) < 0.13


def test_the_same_generator_draws_the_same_noise(clean: Tensor, spacing: Tensor, drawn: ToldNoise) -> None:
    again = add_told_noise(clean, spacing, torch.Generator().manual_seed(0))
    assert torch.equal(again.noisy, drawn.noisy)
    assert torch.equal(again.features, drawn.features)


def test_a_student_that_is_not_trained_makes_nothing_of_what_it_is_told(drawn: ToldNoise) -> None:
    network = StudentForAll(4)
    torch.nn.init.normal_(network.student.exit.weight)
    few = ToldNoise(*(getattr(drawn, one.name)[:2] for one in fields(drawn)))
    other = replace(few, features=few.features.flip(0))
    with torch.no_grad():
        torch.testing.assert_close(network(few), network(other))
        torch.nn.init.normal_(network.modulations[0].weight)
        assert not torch.allclose(network(few), network(other))


def test_errors_count_in_units_of_the_noise_where_there_is_data(
    drawn: ToldNoise, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = torch.ones_like(drawn.known)
    half[..., ::2] = 0
    given = replace(drawn, known=half)

    class Wrong(StudentForAll):
        def forward(self, drawn: ToldNoise) -> Tensor:
            """Off by twice the noise, and by far more where there is no data."""
            return drawn.mean + 2 * drawn.std + 100 * (1 - drawn.known)

    monkeypatch.setattr(Source, "told", lambda *_: given)
    source = Source(1, 0, torch.device("cpu"))
    assert float(student_loss(source, Wrong(4), COUNT)) == pytest.approx(
        4 * float(drawn.std.sqrt().mean()), rel=1e-4
    )
