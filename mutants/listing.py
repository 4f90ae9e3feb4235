"""The committed list of breakages, and whether each still fits the file that it breaks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

#: What is copied to be broken; all else is linked, and broken there it would be broken in the tree.
COPIED = ("src", "tests", "pretraining", "bench")
_KEYS = {"name", "file", "old", "new", "tests"}


class ListError(Exception):
    """The list can't be used as it is; the message says why, a line for each fault."""


@dataclass(frozen=True)
class Mutant:
    """One breakage.

    Attributes
    ----------
    name : str
        What it does, in a few words.
    file : str
        Path of the broken file, below the repository.
    old, new : str
        A part of one line that is there exactly once, and what takes its place.
    tests : tuple of str
        Files of tests, or single ones (`tests/test_x.py::test_y`), one of which must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, text: str) -> str:
        """Return the broken text of the file.

        Raises
        ------
        ListError
            If `old` isn't there exactly once.
        """
        found = text.count(self.old)
        if found != 1:
            raise ListError(f"{self.name}: {self.old!r} is {found} times in {self.file}; expected once")
        return text.replace(self.old, self.new)


def read_list(path: Path, root: Path) -> list[Mutant]:
    """Read the list and check every entry against the tree.

    Parameters
    ----------
    path : Path
        YAML: a list of mappings with name, file, old, new and tests.
    root : Path
        The repository.

    Raises
    ------
    ListError
        If an entry is incomplete or doesn't fit the tree any more; names all of them.
    """
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(entries, list) or not entries:
        raise ListError(f"{path}: expected a list of mutants")
    faults: list[str] = []
    mutants: list[Mutant] = []
    for number, entry in enumerate(entries, 1):
        try:
            mutants.append(_mutant(entry, number, root))
        except ListError as error:
            faults.append(str(error))
    twice = [name for name, count in Counter(one.name for one in mutants).items() if count > 1]
    faults += [f"{name}: the name stands {path.name} more than once" for name in twice]
    if faults:
        raise ListError("\n".join(faults))
    return mutants


def _mutant(entry: Any, number: int, root: Path) -> Mutant:
    """Return one checked entry."""
    if not isinstance(entry, dict) or set(entry) != _KEYS:
        raise ListError(f"mutant {number}: expected the keys {', '.join(sorted(_KEYS))}")
    words = {key: entry[key] for key in ("name", "file", "old", "new")}
    if not all(isinstance(word, str) for word in words.values()) or not isinstance(entry["tests"], list):
        raise ListError(f"mutant {number}: expected text, and a list of tests")
    mutant = Mutant(**words, tests=tuple(str(test) for test in entry["tests"]))
    if "\n" in mutant.old + mutant.new or mutant.old == mutant.new:
        raise ListError(f"{mutant.name}: expected two different parts of one line")
    if Path(mutant.file).parts[0] not in COPIED:
        raise ListError(f"{mutant.name}: {mutant.file} is in none of {', '.join(COPIED)}")
    if not (root / mutant.file).is_file():
        raise ListError(f"{mutant.name}: {mutant.file} is not there any more")
    absent = [test for test in mutant.tests if not _is_there(test, root)]
    if absent or not mutant.tests:
        raise ListError(f"{mutant.name}: these tests are not there: {', '.join(absent) or 'none is named'}")
    mutant.applied((root / mutant.file).read_text(encoding="utf-8"))
    return mutant


def _is_there(test: str, root: Path) -> bool:
    """Whether a file of tests is there, and in it the test that is named."""
    file, _, name = test.partition("::")
    path = root / file
    if not name:
        return path.exists()
    return path.is_file() and f"def {name.partition('[')[0]}(" in path.read_text(encoding="utf-8")
