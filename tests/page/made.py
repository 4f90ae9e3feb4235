"""Made-up evidence and scans that several tests put on pages."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffdenoise.page.html import write_report
from diffdenoise.page.pictures import make_tiles
from diffdenoise.page.tiles import Tiles
from diffdenoise.scan.scan import Scan
from diffdenoise.trust.evidence import Evidence, Finding, Place, Section, Table
from tests.conftest import make_volume

#: What a file may be called, and a header hold, by someone who means no good.
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&$body ${title}<!--"
#: Wider than a telephone.
WIDE = Table("Kept by size", tuple(f"{size} pixels" for size in range(12)), (("0.31",) * 12, ("0.99",) * 12))
PROVENANCE = {"input": "scan.nii.gz", "DiffDenoise": "0.1"}


def finding(key: str, value: float | None, **more: object) -> Finding:
    """A finding that is bad above 3, and very bad above 6."""
    given: dict[str, object] = {
        "title": f"Figure {key}",
        "unit": "stds",
        "limits": (3.0, 6.0),
        "says": f"What {key} means.",
        "advice": f"What to do about {key}.",
        **more,
    }
    return Finding(key, value=value, **given)  # type: ignore[arg-type]


def evidence(worst: float = 7.25, places: tuple[Place, ...] = ()) -> Evidence:
    """Sections with a finding of every kind, and one that is missing."""
    return Evidence(
        (
            Section("residual", "Residual", (finding("structure", worst), finding("calm", 1.5))),
            Section(
                "small",
                "Small objects",
                (
                    finding("kept", 0.7, limits=(0.8, 0.5), falls=True, unit=""),
                    finding("told", 12345.0, limits=None),
                    finding("unknown", None, limits=(80.0, 60.0), falls=True),
                ),
                ("Discs of 2 to 20 pixels.",),
                (WIDE,),
            ),
            Section("repeats", "Repeats", missing="There is no second acquisition."),
        ),
        places,
    )


def scans(shape: tuple[int, ...] = (40, 36, 5), std: float = 60) -> tuple[Scan, Scan]:
    """A noisy scan and what it would be without noise."""
    noisy = Scan(make_volume(shape, std=std).astype(np.float64), spacing_mm=(1.0,) * min(3, len(shape)))
    return noisy, noisy.with_data(make_volume(shape, std=0).astype(np.float64))


def tiles(places: tuple[Place, ...] = (), **more: object) -> Tiles:
    """Pictures of a small volume, with an uncertainty."""
    noisy, denoised = scans()
    doubt = np.full(noisy.shape, 30.0)
    return make_tiles(noisy, denoised, 60.0, doubt, places, **more)  # type: ignore[arg-type]


def report(path: Path, places: tuple[Place, ...] = (), title: str = "A scan") -> Path:
    """Write a whole report."""
    write_report(path, evidence(places=places), tiles(places), PROVENANCE, "As said [1].", ["A book."], title)
    return path


def opened(content: bytes) -> NDArray[np.uint8]:
    """Return the tones of an encoded picture."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("L"))


def shown_text(page: str) -> str:
    """Return a page's text without tags, scripts and styles, spaces made one."""
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))
