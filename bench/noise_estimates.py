"""How well `diffdenoise info` reads noise of known level and correlation.

    python -m bench.noise_estimates --data DIR

Adds Gaussian noise (seed 0) to the clean scans of `bench.stages` and prints what is estimated.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from bench.stages import CASES, case_path
from diffdenoise.noise.level import estimate_noise
from diffdenoise.noise.simulate import gaussian
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.slices import choose_axis, to_stacks

#: Std as a share of the range, and std in pixels of the kernel that correlates the noise.
_NOISES = (
    (0.0, 0.0),
    (0.03, 0.0),
    (0.05, 0.0),
    (0.10, 0.0),
    (0.20, 0.0),
    (0.10, 0.5),
    (0.10, 0.8),
    (0.10, 1.2),
)


def main() -> None:
    """Print one line a scan and noise."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    print("| scan | true std, kernel px | estimated std, kernel px |\n|---|---|---|")
    for case in CASES:
        path = case_path(given.data, case)
        if not path.is_file():
            print(f"skipped {case}: {path} is missing")
            continue
        scan = read_scan(path)
        clean = to_stacks(IntensityMap.fit(scan.data).scale(scan.data), choose_axis(scan))[0]
        for std, width in _NOISES:
            noisy = clean
            if std:
                rng = np.random.default_rng(0)
                noisy = gaussian(clean, std, correlation_px=width, axis=0, rng=rng).astype(np.float32)
            found = estimate_noise([noisy])
            down, right = found.correlation_px
            print(f"| {case} | {std:.1%}, {width:g} | {found.std:.1%}, {down:g} and {right:g} |", flush=True)


if __name__ == "__main__":
    main()
