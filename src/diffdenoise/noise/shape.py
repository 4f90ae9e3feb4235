"""What the shape of the noise's correlation is called."""

from __future__ import annotations

import numpy as np

from diffdenoise.noise.correlation import Correlation

#: Points of the spectrum along each axis, and cycles a pixel between the rings that it is averaged over.
_POINTS, _RING = 64, 0.05
#: Noise is band-pass if its power at the lowest frequencies is below this share of that at the peak.
_HOLLOW = 0.6
#: Difference between the correlations along both diagonals from which on noise is oblique.
_OBLIQUE = 0.1


def peak_of(correlation: Correlation) -> float | None:
    """Frequency at which band-pass noise is strongest, in cycles a pixel; None for noise of another kind."""
    frequencies = np.fft.fftfreq(_POINTS)
    ring = (np.hypot(frequencies[:, None], frequencies) / _RING).astype(int)
    power = correlation.spectrum(_POINTS, _POINTS)
    # Beyond the Nyquist frequency there are corners alone.
    mean = np.array([power[ring == each].mean() for each in range(round(0.5 / _RING))])
    highest = int(mean.argmax())
    return round((highest + 0.5) * _RING, 3) if mean[0] < _HOLLOW * mean[highest] else None


def in_words(correlation: Correlation) -> str:
    """Return the shape in words: white, band-pass or correlated over some pixels; and whether it slants."""
    if correlation.is_white:
        return "white"
    peak, (down, right) = peak_of(correlation), correlation.width_px
    slant = max(abs(correlation.at(step, step) - correlation.at(step, -step)) for step in (1, 2))
    oblique = ", oblique" if slant > _OBLIQUE else ""
    if peak is not None:
        return f"band-pass with its peak at {peak:.2g} cycles a pixel{oblique}"
    return f"correlated over {down:.2g} x {right:.2g} px{oblique}"
