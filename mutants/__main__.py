"""Break the package in one place at a time and see whether its tests notice: `python -m mutants`.

Exit code 0: all were noticed. 1: some survived. 2: the list no longer fits the tree, or its tests don't pass.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mutants.choose import changed_since, choose
from mutants.listing import ListError, Mutant, read_list

_ROOT = Path(__file__).parents[1]
_LIST = Path(__file__).with_name("list.yaml")
#: Trials at a time.
_COPIES = 2
#: What most tests load, and what takes seconds to load.
_SLOW = ("nibabel", "numpy", "pydicom", "scipy.ndimage", "scipy.special", "torch", "zarr")
#: Lines of a failed test run that are shown.
_SHOWN = 40


def main(words: Sequence[str] | None = None) -> int:
    """Parse the command line, try the mutants, and return the exit code."""
    options = _options().parse_args(words)
    try:
        everything = read_list(options.list, options.root)
        changed = None if options.changed is None else changed_since(options.changed, options.root)
        chosen = choose(everything, options.part, changed)
        if options.only:
            chosen = [one for one in everything if any(word in one.name for word in options.only)]
    except ListError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(chosen)} of {len(everything)} mutants{_why(options)}", flush=True)
    if not chosen:
        return 0
    # A thread a trial: torch in two processes on all cores each is slower than on one.
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in ("hypothesis", *_SLOW) if options.root == _ROOT else ("hypothesis",):
        importlib.import_module(name)
    return _try(chosen, options.root, options.minutes)


def _try(chosen: Sequence[Mutant], root: Path, minutes: float | None) -> int:
    """Try mutants and print how it went."""
    # Imports pytest, which looks at the environment.
    from mutants.trial import copies, trials, unbroken

    began = time.monotonic()

    def goes_on() -> bool:
        return minutes is None or time.monotonic() - began < 60 * minutes

    with copies(root, _COPIES) as slots:
        wrong = unbroken(slots, chosen)
        for one in wrong:
            print(f"without a mutant: {one.verdict}; its tests must pass first", file=sys.stderr)
            print("\n".join(one.log.splitlines()[-_SHOWN:]), file=sys.stderr)
        if wrong:
            return 2
        print(f"their tests pass without them ({time.monotonic() - began:.0f} s)", flush=True)
        outcomes = []
        for one in trials(slots, chosen, goes_on):
            outcomes.append(one)
            word = {"failed": "noticed ", "passed": "SURVIVED"}.get(one.verdict, f"ERROR: {one.verdict}:")
            print(f"{word} {one.seconds:4.0f} s  {one.mutant and one.mutant.name}", flush=True)
            if one.verdict not in ("failed", "passed"):
                print("\n".join(one.log.splitlines()[-_SHOWN:]), file=sys.stderr)
    survivors = [one.mutant for one in outcomes if one.verdict == "passed" and one.mutant]
    for mutant in survivors:
        print(f"survived: {mutant.name}: {mutant.file}: {mutant.old!r} to {mutant.new!r}")
    left = len(chosen) - len(outcomes)
    print(
        f"{len(outcomes)} tried, {len(survivors)} survived"
        + (f", {left} left for another time" if left else "")
        + f" ({time.monotonic() - began:.0f} s)"
    )
    if any(one.verdict not in ("failed", "passed") for one in outcomes):
        return 2
    return 1 if survivors else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("--part", help="K/N: every Nth mutant, from the Kth on")
    parser.add_argument("--changed", metavar="BASE", help="those of files that changed since this commit")
    parser.add_argument("--only", nargs="+", metavar="WORDS", help="those with these words in their name")
    parser.add_argument("--minutes", type=float, help="begin no other one after this time")
    parser.add_argument("--root", type=Path, default=_ROOT, help="tree to break a copy of")
    parser.add_argument("--list", type=Path, default=_LIST, help="list of mutants")
    return parser


def _why(options: argparse.Namespace) -> str:
    parts = []
    if options.changed is not None:
        parts.append(f"those of files changed since {options.changed}")
    if options.part is not None:
        parts.append(f"part {options.part}")
    return f": {', then '.join(parts)}" if parts else ""


if __name__ == "__main__":
    sys.exit(main())
