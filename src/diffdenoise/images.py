"""What the Python calls are given: one image, or lists and folders of them, as scans in one place.

A path that stands for one scan is one image: a file, or a folder, DICOMDIR or zip that holds one DICOM series
and nothing else. Every other folder, and a glob, is a list of images.
"""

from __future__ import annotations

import glob
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from diffdenoise.errors import InputError, ShapeError
from diffdenoise.kinds import is_path, kind_of
from diffdenoise.scan import bids
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.find import Found, find_scans
from diffdenoise.scan.folder import is_store
from diffdenoise.scan.scan import Scan
from diffdenoise.work.masks import masked
from diffdenoise.work.result import Result


@dataclass(frozen=True)
class Image:
    """One image that was given.

    Attributes
    ----------
    scan : Scan
        What it holds.
    back : callable
        Takes the result to the kind of image that was given.
    group : object
        Images of equal groups are learned from together.
    must : bool
        Whether no result of the others makes up for its failure: it was named, not found in a folder.
    """

    scan: Scan
    back: Callable[[Result], Any]
    group: object
    must: bool = True


@dataclass(frozen=True)
class Images:
    """All images that were given.

    Attributes
    ----------
    tree : Image or list
        As given: an image, or lists of images and lists.
    """

    tree: Any

    @property
    def flat(self) -> list[Image]:
        """One after the other."""
        return list(_flat(self.tree))

    def groups(self) -> list[list[Image]]:
        """Those that are learned from together, each in a list."""
        found: dict[object, list[Image]] = {}
        for image in self.flat:
            found.setdefault(image.group, []).append(image)
        return list(found.values())

    def with_mask(self, mask: Any) -> Images:
        """Return them with all voxels outside a mask left alone.

        Parameters
        ----------
        mask : image or list of images
            Nonzero inside; for a list of images, a list of as many.

        Raises
        ------
        ShapeError
            If a mask isn't on its image's grid, or there aren't as many.
        """
        if isinstance(self.tree, Image):
            return Images(replace(self.tree, scan=masked(self.tree.scan, _scan_of(mask, "mask"))))
        if not isinstance(mask, list | tuple) or len(mask) != len(self.tree):
            raise ShapeError(
                f"mask: expected a list of {len(self.tree)} masks, one for each image given; give one each"
            )
        pairs = zip(self.tree, mask, strict=True)
        return Images([Images(each).with_mask(one).tree for each, one in pairs])

    def give(self, results: dict[int, Result], *, as_results: bool = False) -> Any:
        """Return results in the order and kinds that images were given in.

        Parameters
        ----------
        results : dict of int to Result
            By the identity (`id`) of each `Image`; images without a result are left out of their list.
        as_results : bool
            Whether images in memory come back as results too.
        """
        return _give(self.tree, results, as_results)


def read_images(given: Any) -> Images:
    """Read and check all images given, before anything is done to one of them.

    Parameters
    ----------
    given : image, path, or sequence of these
        Images as `kind_of` takes them; files, folders, globs, DICOMDIRs and zips. What can't be denoised in a
        folder is left out with a warning; what was named is refused.

    Raises
    ------
    InputError
        If something isn't there, can't be read or can't be denoised.
    """
    return Images(_read(given, "image"))


def warn(text: str) -> None:
    """Warn, naming the user's line: the first that isn't of this package."""
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("diffdenoise"):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)


def scan_of(image: Any) -> Scan:
    """Return one image in memory, or in a file, as a scan."""
    return _scan_of(image, "image")


def _scan_of(image: Any, name: str) -> Scan:
    if not is_path(image):
        return kind_of(image, name).scan
    found = find_scans([Path(image)]).scans
    if len(found) != 1:
        raise InputError(f"{image}: holds {len(found)} images; expected one; name it")
    return found[0].read()


def _flat(tree: Any) -> Iterator[Image]:
    if isinstance(tree, Image):
        yield tree
        return
    for each in tree:
        yield from _flat(each)


def _give(tree: Any, results: dict[int, Result], as_results: bool) -> Any:
    if isinstance(tree, Image):
        found = results[id(tree)]
        return found if as_results else tree.back(found)
    kept = [each for each in tree if not isinstance(each, Image) or id(each) in results]
    return [_give(each, results, as_results) for each in kept]


def _read(given: Any, name: str) -> Any:
    if is_path(given):
        return _read_path(Path(given))
    if isinstance(given, Sequence):
        if not given:
            raise InputError("an empty list was given; expected at least one image")
        if all(isinstance(each, int | float) for each in given):
            raise InputError(
                f"{name}: is a list of numbers; expected an array; convert it with numpy.asarray"
            )
        return [_read(each, f"{name} {number}") for number, each in enumerate(given)]
    kind = kind_of(given, None if name == "image" else name)
    return Image(checked(kind.scan), lambda result: kind.back(result.scan), "files")


def checked(scan: Scan) -> Scan:
    """Return a scan that can be denoised; an error for any other."""
    check_scan(scan)
    return scan


def find(path: Path) -> tuple[tuple[Found, ...], bool]:
    """Return the scans at a path, and whether it stands for one rather than a list that may hold one."""
    if bids.is_bids(path):
        return tuple(Found(each.as_posix(), (path / each,)) for each in bids.images_of(path)), False
    scans = find_scans([path]).scans
    is_folder = path.is_dir() and not is_store(path)
    is_glob = not os.path.lexists(path) and glob.has_magic(str(path))
    return scans, len(scans) == 1 and not is_glob and not (is_folder and scans[0].series is None)


def _read_path(path: Path) -> Any:
    """One image, or a list of those in a folder or glob; of these, unfit ones are named and left out."""
    scans, is_single = find(path)
    groups = [_group(found, number, path) for number, found in enumerate(scans)]
    if is_single:
        return Image(checked(scans[0].read()), _as_it_is, groups[0])
    images: list[Image] = []
    problem: InputError | None = None
    for found, group in zip(scans, groups, strict=True):
        try:
            images.append(Image(checked(found.read()), _as_it_is, group, must=False))
        except InputError as error:
            problem = problem or error
            warn(f"left out: {error}")
    if not images and problem is not None:
        raise problem
    return images


def _as_it_is(result: Result) -> Result:
    return result


def _group(found: Found, number: int, place: Path) -> object:
    """Which images are learned from together, as the command line has it."""
    if found.series is None:
        return bids.kind_of(Path(found.name)) if bids.is_bids(place) else "files"
    return ("images", found.series.header.modality) if found.series.is_flat else ("series", place, number)
