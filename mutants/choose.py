"""Which of the mutants to try: all, or those of changed files and a part of the others."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from mutants.listing import ListError, Mutant


def choose(mutants: Sequence[Mutant], part: str | None, changed: set[str] | None) -> list[Mutant]:
    """Return the mutants to try, those of changed files first.

    Parameters
    ----------
    mutants : sequence of Mutant
        The whole list.
    part : str or None
        "2/5": every fifth, from the second on; None: all, or none where `changed` is given.
    changed : set of str or None
        Changed files below the repository: mutants that break one of these or are noticed by one.

    Raises
    ------
    ListError
        If `part` is not such a part.
    """
    if part is None and changed is None:
        return list(mutants)
    first = [one for one in mutants if changed and _files(one) & changed]
    rest = [] if part is None else _part(mutants, part)
    return first + [one for one in rest if one not in first]


def changed_since(base: str, root: Path) -> set[str]:
    """Return the files that differ from a commit, in the working tree too.

    Raises
    ------
    ListError
        If git doesn't know that commit.
    """
    command = ["git", "-C", str(root), "diff", "--name-only", "--relative", base, "--"]
    found = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    if found.returncode:
        raise ListError(f"{base}: git doesn't know this commit; expected one to compare with")
    return set(found.stdout.splitlines())


def _files(mutant: Mutant) -> set[str]:
    return {mutant.file, *(test.partition("::")[0] for test in mutant.tests)}


def _part(mutants: Sequence[Mutant], part: str) -> list[Mutant]:
    number, _, count = part.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise ListError(f"part {part}: expected such as 2/5")
    return list(mutants[int(number) - 1 :: int(count)])
