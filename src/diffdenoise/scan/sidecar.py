"""What a NIfTI file's name and the JSON beside it say of the picture in it: phase is no image to denoise.

References
----------
BIDS 1.10, entity "part"; dcm2niix, "File naming", whose names end in _ph, _real or _imaginary for parts of
complex values; BIDS sidecars, "ImageType", as in DICOM.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_SUFFIXES = (".nii.gz", ".nii")
#: Values of the BIDS entity, and of dcm2niix's endings.
_PARTS = {
    "phase": "phase image",
    "ph": "phase image",
    "real": "real part",
    "imag": "imaginary part",
    "imaginary": "imaginary part",
}
#: Values of ImageType that say so of MR images, from the third on.
_TYPES = {
    "P": "phase image",
    "PHASE": "phase image",
    "R": "real part",
    "REAL": "real part",
    "I": "imaginary part",
    "IMAGINARY": "imaginary part",
}
_MAGNITUDE = {"M", "MAGNITUDE"}
#: dcm2niix appends a letter to names that would be the same: _pha; and numbers of echoes and coils.
_ENDING = re.compile(r"_(ph|phase|real|imag|imaginary)(a|_?e\d+|_?c\d+)?$", re.IGNORECASE)
#: Bytes; sidecars hold some kilobytes, those of slice timings some more.
_MOST_BYTES = 4 * 2**20


def why_no_image(path: Path) -> str | None:
    """Say why a NIfTI file is no image to denoise, by its name and its sidecar; None if it may be one.

    Parameters
    ----------
    path : path
        Of a file; of those of other formats nothing is known.
    """
    suffix = next((each for each in _SUFFIXES if path.name.lower().endswith(each)), None)
    if suffix is None:
        return None
    stem = path.name[: -len(suffix)]
    return why_no_part(stem, fields_of(path.with_name(f"{stem}.json")))


def why_no_part(stem: str, fields: dict[str, Any]) -> str | None:
    """Say so if a name without suffix, or sidecar fields, are of a part of complex values."""
    types = fields.get("ImageType")
    words = [str(each).strip().upper() for each in types] if isinstance(types, list) else []
    component = str(fields.get("ComplexImageComponent", "")).strip().upper()
    is_mr = str(fields.get("Modality", "MR")).upper() == "MR"
    for word in (component, *words[2:]):
        if is_mr and word in _TYPES:
            return _TYPES[word]
    entity = re.search(r"(?:^|_)part-([a-z]+)(?:_|$)", stem)
    if entity is not None and entity[1] in _PARTS:
        return _PARTS[entity[1]]
    ending = _ENDING.search(stem)
    if ending is not None and not _MAGNITUDE.intersection(words):
        return _PARTS[ending[1].lower()]
    return None


def fields_of(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an empty one where there is none."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
