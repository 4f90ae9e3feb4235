"""Noise of known spectra: band-pass, oblique, zero-filled, smoothed."""

from __future__ import annotations

import numpy as np


def power_of(kind, height, width):
    """Power spectral density (height, width) of a kind of noise, as `numpy.fft.fft2` lays it out."""
    down, right = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    radius = np.hypot(down, right)
    if kind == "white":
        return np.ones((height, width))
    if kind == "band-pass":
        # A ramp under a window: reconstruction of CT by a smooth kernel.
        return (radius + 0.01) * np.where(radius < 0.5, np.cos(np.pi * radius) ** 2, 0) + 1e-4
    if kind == "band-pass, sharp":
        return (radius + 0.02) * np.exp(-0.5 * (radius / 0.3) ** 2)
    if kind == "oblique":
        along, across = (down + right) / np.sqrt(2), (down - right) / np.sqrt(2)
        return np.exp(-4 * np.pi**2 * ((1.1 * along) ** 2 + (0.3 * across) ** 2))
    if kind.startswith("finer"):
        factor = float(kind.split()[1])
        return ((np.abs(down) < 0.5 / factor) & (np.abs(right) < 0.5 / factor)) + 1e-6
    one, other = (float(word) for word in kind.split(","))
    return np.exp(-4 * np.pi**2 * ((one * down) ** 2 + (other * right) ** 2))


def noise_of(kind, shape, seed=0):
    """Unit noise of a kind, (slices, height, width)."""
    power = power_of(kind, *shape[1:])
    white = np.random.default_rng(seed).standard_normal(shape)
    return np.fft.ifft2(np.fft.fft2(white) * np.sqrt(power / power.mean())).real


def lags_of(kind, side=128):
    """Its autocorrelation, (side, side), lags as `numpy.fft.fft2` lays frequencies out."""
    covariance = np.fft.ifft2(power_of(kind, side, side)).real
    return covariance / covariance[0, 0]


def farthest(correlation, kind, reach=4):
    """Most by which a correlation misses a kind's, at lags up to a reach."""
    truth = lags_of(kind)
    lags = range(-reach, reach + 1)
    return max(abs(correlation.at(down, right) - truth[down, right]) for down in lags for right in lags)
