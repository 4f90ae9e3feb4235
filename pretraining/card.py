"""Write what is known of the weights that come with the package, with their checksums.

    python -m pretraining.card

To be run when they change; `diffdenoise models` shows it, and the weights are held against it when loaded.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from safetensors import safe_open

WEIGHTS = Path(__file__).parents[1] / "src" / "diffdenoise" / "weights"
_SYNTHETIC = "synthetic pictures: overlapping shapes of all sizes, textures, empty background"
_NO_ANATOMY = "no scan of anybody is in them"
#: What is said of each file of weights.
WORDS = {
    "student": {
        "name": "general",
        "use": "denoises at once, set for the noise of each scan; trainings begin with it",
        "data": f"{_SYNTHETIC}; half of the patches: scans of six public data sets (MR heads, an abdomen's "
        "CT, chest X-rays of the Hannover Medical School, CC BY 3.0)",
        "noise": "white, correlated, band-pass, zero-filled, Rician; .8 to 35 % of the range; varying levels",
        "limits": "needs the noise's level; correlations up to 2.2 px; slices .5 to 6 pixels apart",
    },
    "student-magnitude": {
        "name": "magnitude",
        "use": "the same for magnitudes whose true zero is known (Rician noise); chosen by itself",
        "data": f"{_SYNTHETIC}; {_NO_ANATOMY}",
        "noise": "as general",
        "limits": "as general",
    },
    "blind-spot": {
        "name": "blind-spot",
        "use": "stage 1 of a training begins with it",
        "data": f"{_SYNTHETIC}; {_NO_ANATOMY}",
        "noise": "1 to 30 % of the range, correlated up to 2 px",
        "limits": "not run by itself",
    },
    "diffusion": {
        "name": "diffusion",
        "use": "stage 2 of a training begins with it",
        "data": f"{_SYNTHETIC}; {_NO_ANATOMY}",
        "noise": "1 to 30 % of the range, correlated up to 2 px",
        "limits": "not run by itself",
    },
}


def card() -> str:
    """Return what is known of all files of weights, as JSON."""
    found = []
    for stem, words in WORDS.items():
        path = WEIGHTS / f"{stem}.safetensors"
        with safe_open(path, "np") as stored:
            steps = int(stored.metadata()["steps"])
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found.append({**words, "file": path.name, "sha256": digest, "steps": steps})
    return json.dumps(found, indent=1) + "\n"


if __name__ == "__main__":
    (WEIGHTS / "card.json").write_text(card(), encoding="utf-8")
