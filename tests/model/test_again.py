"""A scan denoised again, in slabs, is the scan as it was denoised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffdenoise.config import Settings
from diffdenoise.model.again import Again
from diffdenoise.model.instant import instant_model
from diffdenoise.model.trained import Model
from diffdenoise.noise.place import PlaceMap
from diffdenoise.noise.statement import Noise, diagnose
from diffdenoise.plan import make_plan
from diffdenoise.scan.cut import to_stacks
from diffdenoise.scan.read import from_array
from diffdenoise.scan.scan import Scan
from diffdenoise.types import Stack
from tests.end_to_end.phantom import noisy_phantom

KINDS = ("white", "correlated", "rician", "padded", "by place")


def made(kind: str, turns: int = 2) -> tuple[Model, Scan, Noise]:
    """The package's weights, set for a phantom."""
    values = noisy_phantom(
        "rician" if kind == "rician" else "correlated" if kind == "correlated" else "white"
    )
    if kind == "padded":
        values[:, :12] = -2000
    scan = from_array(values)
    noise = diagnose(scan)
    if kind == "by place":
        place = PlaceMap.of_grid(np.log(np.linspace(0.5, 1.6, 4))[None, :, None] + np.zeros((1, 4, 4)))
        found = noise.diagnosis
        noise.__dict__["diagnosis"] = replace(found, noise=replace(found.noise, place=place))
    settings = Settings.build(stage3={"orientations": turns})
    return instant_model(make_plan([scan], settings, [noise]), "cpu", 1), scan, noise


def slices_of(noise: Noise, first: int = 0, last: int = 6) -> Stack:
    return noise.ready.volumes[0].slab(first, last)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("own", [True, False], ids=["own", "another"])
def test_the_whole_is_what_the_model_gave(kind: str, own: bool) -> None:
    model, scan, noise = made(kind)
    assert (noise.factors is not None) == (kind == "by place")
    assert (noise.diagnosis.rician_std is not None) == (kind == "rician")
    given = to_stacks(model.denoise_scan(scan, noise, force=True, own=own).scan.data, noise.axis)[0]
    again = noise.ready.intensities.unscale(Again(model, noise, own)(0, 0, slices_of(noise)))
    known = noise.ready.volumes[0].known(0, 6)
    where = np.ones(given.shape, bool) if known is None else known
    assert (known is None) == (kind != "padded")
    # Values far beyond the range are added to the result alone.
    inside = where & (np.abs(slices_of(noise) - 0.5) < 1.5)
    np.testing.assert_allclose(again[inside], given[inside], atol=1e-4 * noise.range)
    assert np.abs(given - noise.ready.intensities.unscale(slices_of(noise)))[inside].max() > 0.1 * noise.range


@pytest.mark.parametrize("kind", ["white", "by place", "rician"])
def test_slices_in_the_middle_are_those_of_the_whole(kind: str) -> None:
    model, _, noise = made(kind)
    again = Again(model, noise, own=True)
    whole = again(0, 0, slices_of(noise))
    np.testing.assert_allclose(again(0, 2, slices_of(noise, 2, 4)), whole[2:4], atol=1e-5)
    np.testing.assert_allclose(again(0, 5, slices_of(noise, 5)), whole[5:], atol=1e-5)


def test_changed_slices_are_denoised_as_they_are() -> None:
    model, _, noise = made("white")
    again = Again(model, noise, own=True)
    values = slices_of(noise)
    changed = values.copy()
    changed[3] += 0.1
    whole, part = again(0, 0, changed), again(0, 3, changed[3:4])
    np.testing.assert_allclose(part, whole[3:4], atol=1e-5)
    assert (part - again(0, 3, values[3:4])).mean() == pytest.approx(0.1, abs=0.02)


def test_slices_that_are_read_one_by_one_are_those_that_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _, noise = made("white")
    again, changed = Again(model, noise, own=True), slices_of(noise, 1, 5) + np.float32(0.1)
    together = again(0, 1, changed)
    monkeypatch.setattr("diffdenoise.model.denoiser._MOST_AT_ONCE", 1)
    np.testing.assert_allclose(again(0, 1, changed), together, atol=1e-5)


def test_a_share_of_what_was_taken_off_is_taken_off() -> None:
    model, _, noise = made("white")
    values = slices_of(noise)
    full = Again(model, noise, own=True)(0, 0, values)
    some = Again(model, noise, own=True, strength=0.3)(0, 0, values)
    np.testing.assert_allclose(some, values + np.float32(0.3) * (full - values), atol=1e-6)


def test_of_eight_turned_copies_two_are_averaged() -> None:
    model, _, noise = made("white", turns=8)
    two, _, _ = made("white", turns=2)
    values = slices_of(noise)
    np.testing.assert_array_equal(
        Again(model, noise, own=True)(0, 0, values), Again(two, noise, own=True)(0, 0, values)
    )


def test_air_is_told_once_by_what_came_first() -> None:
    model, _, noise = made("rician")
    values = slices_of(noise)
    again = Again(model, noise, own=True)
    first = again(0, 0, values)
    again(0, 0, values + np.float32(0.2))
    np.testing.assert_array_equal(again(0, 0, values), first)
