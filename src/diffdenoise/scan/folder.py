"""What lies in a folder: its files, and folders that are an image each (Zarr)."""

from __future__ import annotations

import os
from pathlib import Path

from diffdenoise.errors import OutputError

#: Ending of folders that hold one image; what is inside is no image by itself.
STORE = ".zarr"


def is_store(path: Path) -> bool:
    """Whether a path is a folder that holds one image."""
    return path.name.lower().endswith(STORE) and path.is_dir()


def check_outside_stores(path: Path) -> None:
    """Raise `OutputError` if a path lies inside of a store: nothing else is written there."""
    store = next((each for each in path.absolute().parents if is_store(each)), None)
    if store is not None:
        raise OutputError(f"{path}: lies inside the image {store.name}; choose a place outside")


def files_below(folder: Path) -> list[Path]:
    """Return all files and stores below a folder, sorted.

    Hidden ones are left out. Links to folders are not followed, so that none can loop.
    """
    found = []
    for place, folders, files in os.walk(folder):
        here = Path(place)
        found += [here / name for name in folders if not name.startswith(".") and is_store(here / name)]
        folders[:] = [name for name in folders if not (name.startswith(".") or is_store(here / name))]
        found += [here / name for name in files if not name.startswith(".") and (here / name).is_file()]
    return sorted(found)
