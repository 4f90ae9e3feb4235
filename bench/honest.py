"""Scans with known noise, and what good denoisers make of them, kept for the trust report's calibration.

    python -m bench.honest --data DIR --out FOLDER

References of five kinds, most of which the report's limits were chosen in view of, some kept back until they
stood; four kinds of noise, and of each scan the results of ours at once, BM3D (told level and spectrum) and
NLM (told the level). Each scan is a file `REFERENCE NOISE.npz` of arrays (slices, height, width): clean,
noisy, and a result a method.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.cases import REFERENCES, Read, _abdomen, _chest, _file, _slabs
from bench.data import Data
from bench.noise import Colour, Noise
from bench.peers.classical import FILTERS
from diffdenoise.api import denoise
from diffdenoise.types import Stack

#: Slices of a reference, and their largest side.
_SLICES, _SIDE = 6, 320
#: References by kind: those that limits were chosen in view of, and those that were kept back.
KINDS: dict[str, tuple[dict[str, Read], dict[str, Read]]] = {
    "T1 head": (
        {"MS T1W": REFERENCES["MS T1W"], "T1 slabs": _slabs},
        {"T1 slabs of another": lambda folder: _slabs(folder)[1:2]},
    ),
    "T2 head": (
        {
            "MS T2W": REFERENCES["MS T2W"],
            "T2 head": _file("mri-brain-t2-torchio/t2.nii.gz"),
            "MS FLAIR": REFERENCES["MS FLAIR"],
        },
        {"MS T2W below": lambda folder: [REFERENCES["MS T2W"](folder)[0][:14]]},
    ),
    "CT": (
        {"chest CT": REFERENCES["chest CT"], "abdomen CT": _abdomen},
        {},
    ),
    "X-ray": (
        {
            "chest X-rays": lambda folder: _chest(folder)[:6],
            "X-rays 2": lambda folder: _chest(folder)[50:56],
        },
        {"X-rays 3": lambda folder: _chest(folder)[100:106]},
    ),
    "joint and spine": (
        {"knee": REFERENCES["knee"], "spine": _file("mri-spine-sct/testing/t2/t2.nii.gz")},
        {"spine T1": _file("mri-spine-sct/testing/t1/t1w.nii.gz")},
    ),
}
#: Noise by name, as a share of the range; CT and X-rays have half of it.
NOISES: dict[str, Callable[[float], Noise]] = {
    "white": lambda std: Noise("gaussian", std),
    "correlated": lambda std: Noise("gaussian", std, Colour(0.7)),
    "ramp": lambda std: Noise("gaussian", std, Colour(ramp=True)),
    "rician": lambda std: Noise("rician", std),
}
_STD = 0.08
METHODS = ("ours", "bm3d", "nlm")


def level_of(name: str) -> float:
    """Std of the noise of a scan by its name, "REFERENCE NOISE"."""
    return _STD / 2 if _is_alone(name) else _STD


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--ours-again", action="store_true", help="denoise again what is there, with ours only"
    )
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.ours_again:
        for path in sorted(given.out.glob("*.npz")):
            with np.load(path) as arrays:
                found = dict(arrays)
            _save(path, found | {"ours": _ours(found["noisy"], alone=_is_alone(path.stem))})
            print(path.name, flush=True)
        return
    for halves in KINDS.values():
        for references in halves:
            for name, read in references.items():
                for noise, law in NOISES.items():
                    target = given.out / f"{name} {noise}.npz"
                    if not target.exists():
                        _save(target, _make(read(given.data), law(level_of(target.stem))))
                        print(target.name, flush=True)


def _make(stacks: list[Stack], noise: Noise) -> dict[str, Stack]:
    """A scan and its results."""
    alone = len(stacks[0]) == 1
    clean = _some(stacks)
    noisy = noise.add(clean, np.random.default_rng(0))
    data = Data([noisy], [clean], [noisy], [clean], noise, scored=[(0, k) for k in range(len(noisy))])
    way = {"rician": "bm3d-stabilised"}.get(noise.kind, "bm3d" if noise.colour.is_white else "bm3d-spectrum")
    found = {
        "clean": clean,
        "noisy": noisy,
        "ours": _ours(noisy, alone),
        "bm3d": FILTERS[way].run(data),
    }
    if noise.colour.is_white:
        found["nlm"] = _nlm(noisy, noise)
    return found


def _ours(noisy: Stack, alone: bool) -> Stack:
    """Denoised at once: a volume, or slices that are images of their own."""
    found = np.stack([denoise(one) for one in noisy]) if alone else denoise(noisy, axis=0)
    return np.asarray(found, np.float32)


def _is_alone(name: str) -> bool:
    """Whether the slices of a scan are images of their own."""
    reference = name.rpartition(" ")[0]
    return any(reference in half for kind in ("CT", "X-ray") for half in KINDS[kind])


def _save(target: Path, found: dict[str, Stack]) -> None:
    np.savez(target, allow_pickle=False, **found)


def _nlm(noisy: Stack, noise: Noise) -> Stack:
    """Non-local means told the level; of magnitudes, squares less noise (Wiest-Daessle 2008)."""
    from skimage.restoration import denoise_nl_means

    found = [denoise_nl_means(one, 5, 6, h=0.8 * noise.std, sigma=noise.std, fast_mode=True) for one in noisy]
    result = np.stack(found)
    if noise.kind == "rician":
        result = np.sqrt(np.maximum(result**2 - 2 * noise.std**2, 0))
    return result.astype(np.float32)


def _some(stacks: list[Stack]) -> Stack:
    """Evenly spaced slices alone, or adjacent ones from the middle, cut to the largest side."""
    if len(stacks[0]) == 1:
        chosen = np.concatenate(stacks)[:_SLICES]
    else:
        middle = len(stacks[0]) // 2
        chosen = stacks[0][max(0, middle - _SLICES // 2) :][:_SLICES]
    top, left = (max(0, (size - _SIDE) // 2) for size in chosen.shape[1:])
    return np.ascontiguousarray(chosen[:, top : top + _SIDE, left : left + _SIDE], dtype=np.float32)


if __name__ == "__main__":
    main()
