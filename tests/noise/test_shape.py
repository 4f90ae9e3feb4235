"""The shape of the noise's correlation in words."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.shape import in_words, peak_of
from tests.noise.shapes import lags_of


def correlation_of(kind):
    lags = lags_of(kind)
    return Correlation.of_plane([[lags[down, right] for right in range(-10, 11)] for down in range(11)])


@pytest.mark.parametrize(("kind", "peak"), [("band-pass", 0.2), ("band-pass, sharp", 0.3)])
def test_band_pass_noise_has_its_peak(kind, peak):
    found = peak_of(correlation_of(kind))
    assert found == pytest.approx(peak, abs=0.06)
    assert in_words(correlation_of(kind)) == f"band-pass with its peak at {found:.2g} cycles a pixel"


@pytest.mark.parametrize("kind", ["white", "0.4,0.4", "1.2,0.4", "oblique", "finer 2"])
def test_other_noise_has_none(kind):
    assert peak_of(correlation_of(kind)) is None


def test_words():
    assert in_words(Correlation()) == "white"
    assert in_words(Correlation.gaussian(1.2, 0.5)) == "correlated over 1.2 x 0.5 px"
    assert in_words(correlation_of("oblique")).endswith(" px, oblique")
    assert "oblique" not in in_words(correlation_of("1.2,0.4"))
    across = np.array(correlation_of("oblique").plane)[:, ::-1]
    assert in_words(Correlation.of_plane(across)).endswith(" px, oblique")
