"""Which code a cell was run with: the commit, and a fingerprint of what the method's result depends on."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

_ROOT = Path(__file__).parent.parent
#: What every cell depends on; then what kinds of methods do.
_DATA = ["bench/noise.py", "bench/data.py", "bench/cases.py", "bench/repeats.py", "bench/observer.py"]
_FILTERS = ["bench/peers/classical.py", "bench/peers/stabilised.py", "src/diffdenoise/noise/rician.py"]
_NETWORKS = [f"src/diffdenoise/{name}" for name in ("networks", "training", "weights")]
_TRAINED = ["bench/peers/trained.py", "bench/peers/ceiling.py", *_NETWORKS]
_OURS = ["bench/ours.py", *_NETWORKS]
_OURS += [f"src/diffdenoise/{name}" for name in ("method", "model", "noise", "config.py", "plan.py")]


def fingerprint(method: str = "ours") -> str:
    """SHA-256, shortened, over the source that a method's result depends on."""
    if method.startswith(("bm3d", "bm4d", "nlm", "dipy", "noisy")):
        parts = _DATA + _FILTERS
    else:
        parts = _DATA + (_OURS if method.startswith("ours") else _TRAINED)
    if "our" in method.split("-"):
        parts = [*parts, "src/diffdenoise/noise"]
    digest = hashlib.sha256()
    for part in dict.fromkeys(parts):
        path = _ROOT / part
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.suffix in (".py", ".safetensors"):
                digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def commit() -> str | None:
    """Commit of the working tree, with a plus sign where it differs from that; None without git."""
    found = _git("rev-parse", "--short", "HEAD")
    return found and found + ("+" if _git("status", "--porcelain", "--", "src", "bench/*.py") else "")


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=_ROOT, capture_output=True, text=True, check=True)  # noqa: S603, S607
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
