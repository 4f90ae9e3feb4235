"""Scans unlike those that a model was trained on are told by what differs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffdenoise.noise.simulate import gaussian, rician
from diffdenoise.noise.statement import diagnose
from diffdenoise.scan.read import from_array
from diffdenoise.scan.scan import Scan
from diffdenoise.trust.character import Character, character_of, differences

MR = Character("MR", 0.08, False, 0.3, 0.0, (0.0, 0.1, 0.4, 0.6, 0.8), 3.0)


def body(shape=(128, 128, 6)):
    y, x = (np.mgrid[: shape[0], : shape[1]] - 63.5) / 64
    inside = np.hypot(y, x) < 0.7
    return np.where(inside, 600 + 150 * np.cos(6 * x), 0.0)[..., None].repeat(shape[2], -1)


def character(data, **changes) -> Character:
    scan: Scan = replace(from_array(data.astype(np.float32)), **changes)
    return character_of(scan, diagnose(scan, 2))


def noisy(std=60.0, seed=0, width_px=0.0):
    return gaussian(body(), std, correlation_px=width_px, axis=2, rng=np.random.default_rng(seed))


def test_a_scan_of_the_same_kind_fits():
    assert differences([character(noisy())], character(1.7 * noisy(seed=1)), 1) == []


def test_a_masked_scan_is_like_the_whole():
    outside = np.ones(body().shape, bool)
    outside[50:80, 40:90] = False
    assert character(noisy(), outside=outside).percentiles == character(noisy()).percentiles


@pytest.mark.parametrize("std", [30.0, 120.0])
def test_half_and_twice_the_noise_is_another(std):
    assert [one.split(" of ")[0] for one in differences([character(noisy())], character(noisy(std)), 1)] == [
        "noise"
    ]


def test_a_ct_in_hounsfield_units_is_no_magnitude_image():
    ct = noisy() - 1000
    found = differences([character(noisy())], character(ct), 0)
    assert found == ["intensities distributed otherwise"]


def test_rician_noise_is_of_another_kind():
    magnitude = character(rician(body(), 60.0, rng=np.random.default_rng(0)))
    found = differences([replace(magnitude, rician=False)], magnitude, 0)
    assert magnitude.rician
    assert found == ["Rician noise"]
    assert differences([magnitude], replace(magnitude, rician=False), 0) == ["no Rician noise"]


def test_correlated_noise_is_another():
    found = differences([character(noisy())], character(noisy(width_px=1.2)), 1)
    assert any("correlated over 1." in one for one in found)


@pytest.mark.parametrize(
    ("change", "neighbours", "said"),
    [
        ({"modality": "CT"}, 0, "modality CT, not MR"),
        ({"modality": None}, 0, None),
        ({"noise_std": 0.0}, 0, None),
        ({"noise_std": 0.04}, 0, "noise of 4.0% of the range, not 8.0%"),
        ({"zero": 0.7}, 0, "intensities distributed otherwise"),
        ({"percentiles": (0.5, 0.6, 0.7, 0.8, 0.9)}, 0, "intensities distributed otherwise"),
        ({"slice_mm": 6.0}, 1, "slices 6 mm apart, not 3"),
        ({"slice_mm": 6.0}, 0, None),
        ({"slice_mm": None}, 1, None),
    ],
)
def test_each_property_is_compared(change, neighbours, said):
    found = differences([MR], replace(MR, **change), neighbours)
    assert found == ([] if said is None else [said])


def test_any_of_several_training_scans_may_be_like_it():
    louder = replace(MR, noise_std=0.2, modality="CT")
    assert differences([MR, louder], replace(MR, noise_std=0.15), 0) == []
    assert differences([MR, louder], replace(MR, noise_std=0.5), 0) == [
        "noise of 50.0% of the range, not 8.0% to 20.0%"
    ]


def test_a_model_that_says_nothing_refuses_nothing():
    assert differences([], MR, 1) == []
