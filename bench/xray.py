"""Peak memory and time of `diffdenoise denoise` on a large X-ray, which it is trained on for a minute.

    python -m bench.xray [--minutes 1] [--source SRC] [--store]

The image is synthetic: 4096x3328 pixels of 16 bits. The command runs in a process of its own, on one
thread; what counts is its largest resident set, all libraries included. --store writes the figures to
docs/performance.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.memory import PAGE, measure

_ROOT = Path(__file__).parent.parent
START, END = "<!-- x-ray: made by bench.xray -->", "<!-- end of x-ray -->"
_HEIGHT, _WIDTH = 4096, 3328


def main() -> None:
    """Make the image, run, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--source", type=Path, default=_ROOT / "src", help="folder that holds the package")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--store", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        image, denoised = Path(folder) / "x-ray.npy", Path(folder) / "denoised.npy"
        make(image)
        began = time.monotonic()
        words = ["denoise", str(image), "-o", str(denoised), "--minutes", str(given.minutes)]
        peak, cpu_s = measure([*words, "--threads", "1", "--quiet"], given.source)
        wall_s = time.monotonic() - began
    line = (
        f"4096x3328, `denoise --minutes {given.minutes:g}`: {peak / 2**20:.0f} MiB, "
        f"{wall_s:.0f} s by the clock, {cpu_s:.0f} s of one processor core."
    )
    print(line)
    if given.store:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
        PAGE.write_text(f"{before}{START}\n\n{line}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def make(path: Path) -> None:
    """Write a radiograph of broad shapes and fine lines, with the noise of one level."""
    y, x = np.mgrid[:_HEIGHT, :_WIDTH].astype(np.float32)
    clean = 2000 + 900 * np.cos(x / 300) * np.sin(y / 250) + 300 * np.cos(x / 17) * (np.abs(x - 1600) < 500)
    noise = 80 * np.random.default_rng(0).standard_normal(clean.shape, dtype=np.float32)
    np.save(path, np.clip(clean + noise, 0, 4095).astype(np.uint16))


if __name__ == "__main__":
    main()
