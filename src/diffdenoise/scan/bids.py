"""BIDS data sets: which images to denoise, and a derivative data set of the results.

References
----------
Brain Imaging Data Structure 1.10, "BIDS Derivatives" and "BIDS URI",
https://bids-specification.readthedocs.io.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from diffdenoise._version import __version__
from diffdenoise.errors import FormatError, OutputError
from diffdenoise.scan.atomic import atomic_path
from diffdenoise.scan.sidecar import why_no_part

DESCRIPTION = "dataset_description.json"
_VERSION = "1.10.0"
#: Name of the source in URIs (`bids:raw:sub-1/...`): without one they are of the data set that they stand in.
_SOURCE = "raw"
#: Folders of images that noise can be taken off; field maps and masks are for computing with.
_DATATYPES = ("anat", "func", "dwi", "perf")
#: Suffixes of files in these that are no plain image.
_NOT_IMAGES = ("mask", "dseg", "probseg", "defacemask")
_SUFFIXES = (".nii.gz", ".nii")
#: Ending of the suffixes of quantitative maps: T1map, R2starmap.
_MAP = "map"
#: What tells subjects, sessions and repeats apart, but not kinds of images.
_OF_A_SCAN = ("sub", "ses", "run")
#: Files that go with an image and stay true of the denoised one.
_COMPANIONS = (".bval", ".bvec")


def is_bids(folder: Path) -> bool:
    """Whether a folder is the root of a BIDS data set."""
    return folder.is_dir() and "BIDSVersion" in _read_json(folder / DESCRIPTION)


def images_of(folder: Path) -> list[Path]:
    """Return the images to denoise, relative to the root: those of subjects, in anat, func, dwi and perf."""
    found = [inside for inside, reason in _pictures(folder) if reason is None]
    if not found:
        raise FormatError(
            f"{folder}: is a BIDS data set without images in {', '.join(_DATATYPES)}; name files in it"
        )
    return found


def passed_over(folder: Path) -> dict[str, int]:
    """Return why pictures among the images aren't denoised (phase, maps), and how many for each reason."""
    return dict(Counter(reason for _, reason in _pictures(folder) if reason is not None))


def _pictures(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield pictures in the folders of images, relative to the root, and why they are none to denoise."""
    for path in sorted(folder.glob("sub-*/**/*")):
        inside = path.relative_to(folder)
        suffix = next((each for each in _SUFFIXES if path.name.endswith(each)), None)
        if suffix is None or not path.is_file() or inside.parent.name not in _DATATYPES:
            continue
        stem = path.name.removesuffix(suffix)
        last = stem.rpartition("_")[2]
        if last in _NOT_IMAGES:
            continue
        if last.endswith(_MAP):
            yield inside, "computed map"
        else:
            yield inside, why_no_part(stem, _fields(folder, inside))


def _fields(source: Path, image: Path) -> dict[str, Any]:
    """The JSON fields of an image, inherited ones too."""
    fields: dict[str, Any] = {}
    for file in _inherited(source, image, ".json"):
        fields |= _read_json(file)
    return fields


def derived_name(image: Path) -> Path:
    """Return an image's name with the entity `desc-denoised`: sub-1_desc-denoised_T1w.nii.gz."""
    entities, _, last = image.name.rpartition("_")
    kept = re.sub(r"_desc-[a-zA-Z0-9]+", "", entities)
    return image.with_name(f"{kept}_desc-denoised_{last}")


def kind_of(image: Path) -> tuple[str, ...]:
    """Return what images of one protocol share: datatype, task, suffix and the like, whoever was scanned."""
    parts = image.name.split(".")[0].split("_")
    return (image.parent.name, *(part for part in parts if part.partition("-")[0] not in _OF_A_SCAN))


def check_output(output: Path) -> None:
    """Raise `OutputError` if a folder holds a data set that isn't one of ours."""
    there = _read_json(output / DESCRIPTION)
    names = [each.get("Name") for each in there.get("GeneratedBy", []) if isinstance(each, dict)]
    if there and "DiffDenoise" not in names:
        raise OutputError(f"{output}: holds another data set; choose a folder of its own")


def describe(output: Path, source: Path) -> None:
    """Write the derivative's dataset_description.json."""
    given = _read_json(source / DESCRIPTION)
    known: dict[str, Any] = {key: given[key] for key in ("License", "DatasetDOI") if key in given}
    record: dict[str, Any] = {
        "Name": f"{given.get('Name', 'data set')}, denoised",
        "BIDSVersion": _VERSION,
        "DatasetType": "derivative",
        "DatasetLinks": {_SOURCE: _link(output, source)},
        "GeneratedBy": [{"Name": "DiffDenoise", "Version": __version__, "Description": "Noise reduction"}],
        **({"SourceDatasets": [{"URL": known.pop("DatasetDOI")}]} if "DatasetDOI" in known else {}),
        **known,
    }
    _write_json(record, output / DESCRIPTION)


def _link(output: Path, source: Path) -> str:
    """URI of the source, from the derivative's root: true when both move together, and of no machine."""
    try:
        return quote(Path(os.path.relpath(source.resolve(), output.resolve())).as_posix())
    except ValueError:  # another drive of Windows
        return source.resolve().as_uri()


def write_sidecars(source: Path, image: Path, output: Path, *, unchanged: bool = False) -> None:
    """Write the JSON beside a result, and copy what else belongs to an image.

    Parameters
    ----------
    source : path
        Root of the data set.
    image : path
        The image, relative to it.
    output : path
        Root of the derivative.
    unchanged : bool
        Whether there was nothing to take off, and the image is a copy.
    """
    derived, target = derived_name(image).name.split(".")[0], (output / image).parent
    fields = _fields(source, image)
    fields["Sources"] = [f"bids:{_SOURCE}:{image.as_posix()}"]
    fields["Description"] = (
        f"Left unchanged by DiffDenoise {__version__}: too little noise to touch"
        if unchanged
        else f"Denoised by DiffDenoise {__version__}"
    )
    _write_json(fields, target / f"{derived}.json")
    for suffix in _COMPANIONS:
        for file in _inherited(source, image, suffix)[-1:]:
            with atomic_path(target / f"{derived}{suffix}") as temporary:
                shutil.copyfile(file, temporary)


def _inherited(source: Path, image: Path, suffix: str) -> list[Path]:
    """Files that apply to an image by the inheritance principle, from the root down to its own folder."""
    *entities, last = image.name.split(".")[0].split("_")
    found = []
    for folder in (source / parent for parent in reversed(image.parents)):
        for file in sorted(folder.glob(f"*{last}{suffix}")):
            *given, named = file.name.removesuffix(suffix).split("_")
            if named == last and set(given) <= set(entities):
                found.append(file)
    return found


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_json(record: dict[str, Any], path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
