"""The shipped 0.3 T scan: ours against BM3D and NLM, scored against the mean of two other repeats.

    python -m bench.real --denoised demo/denoised.nii.gz

The reference has noise of its own; the corrected PSNR takes its variance (samples/README.md: std 8.5
grey levels) off the mean squared error, which is right if the two noises are independent.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.scan.read import read_scan
from diffdenoise.trust.metrics import evaluate

_SAMPLES = Path(__file__).parent.parent / "samples"
#: Std of the reference's own noise in grey levels (half the difference of its two repeats).
_REFERENCE_STD = 8.5
#: Noise levels in grey levels that BM3D is told: the estimate of `diffdenoise info` is 13.
_BM3D_LEVELS = (12.0, 14.0, 16.0)

Volume = NDArray[np.float64]


def main() -> None:
    """Print one line a method."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--denoised", type=Path, help="result of diffdenoise on the sample")
    given = parser.parse_args()
    noisy = _load(_SAMPLES / "brain-t2-0.3T-repeat1.nii.gz")
    reference = _load(_SAMPLES / "brain-t2-0.3T-reference.nii.gz")
    print("| method | PSNR | PSNR corrected | SSIM |\n|---|---|---|---|")
    _print("noisy", noisy, reference)
    if given.denoised is not None:
        _print("ours", _load(given.denoised), reference)
    for level in _BM3D_LEVELS:
        _print(f"BM3D, told {level:g}", _slicewise(_bm3d, noisy, level), reference)
    _print("NLM, told 12", _slicewise(_nlm, noisy, 12.0), reference)


def _load(path: Path) -> Volume:
    return read_scan(path).data.astype(np.float64)


def _slicewise(method: Any, noisy: Volume, level: float) -> Volume:
    slices = [method(noisy[..., k] / 255, level / 255) for k in range(noisy.shape[2])]
    return np.asarray(255 * np.stack(slices, axis=-1))


def _bm3d(image: Volume, std: float) -> Volume:
    import bm3d

    return np.asarray(bm3d.bm3d(image, std))


def _nlm(image: Volume, std: float) -> Volume:
    from skimage.restoration import denoise_nl_means

    return np.asarray(denoise_nl_means(image, 5, 6, h=0.8 * std, sigma=std, fast_mode=True))


def _print(name: str, denoised: Volume, reference: Volume) -> None:
    result = evaluate(denoised, reference, axis=2)
    scores = result.denoised
    left = scores.rmse**2 - _REFERENCE_STD**2
    corrected = 10 * math.log10(result.data_range**2 / left) if left > 0 else math.inf
    print(f"| {name} | {scores.psnr_db:.2f} | {corrected:.2f} | {scores.ssim:.3f} |", flush=True)


if __name__ == "__main__":
    main()
