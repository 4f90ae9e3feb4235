"""Draw docs/images/synthetic.png, what the starting weights were learned on: `python -m pretraining.show`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pretraining.noise import add_noise
from pretraining.pictures import draw_stacks

_PICTURE = Path(__file__).parents[1] / "docs" / "images" / "synthetic.png"
_COUNT, _SIDE = 8, 128


def main() -> None:
    """Draw stacks of few and of many shapes, clean above and noisy below."""
    generator = torch.Generator().manual_seed(5)
    stacks = torch.cat([draw_stacks(1, _SIDE, generator)[0] for _ in range(_COUNT)])[:, 3:4]
    noisy = add_noise(stacks, generator, (0.0, 2.0)).noisy
    rows = [np.hstack([one.numpy() for one in images[:, 0]]) for images in (stacks, noisy)]
    grey = np.round(255 * np.clip(np.vstack(rows), 0, 1)).astype(np.uint8)
    Image.fromarray(grey).save(_PICTURE, optimize=True)


if __name__ == "__main__":
    main()
