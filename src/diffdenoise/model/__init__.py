"""A trained denoiser: its folder, and how it is run, without torch."""

from __future__ import annotations

from diffdenoise.model.trained import Denoised, Model

__all__ = ["Denoised", "Model"]
