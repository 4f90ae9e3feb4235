"""What is known of a result that nobody has a clean image of: numbers, their limits, a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

Grade = Literal["fine", "look closer", "do not trust"]
#: From good to bad.
GRADES: tuple[Grade, ...] = ("fine", "look closer", "do not trust")


@dataclass(frozen=True)
class Finding:
    """A number, what it is held against, and what follows of it.

    Attributes
    ----------
    key : str
        Its name in JSON.
    title : str
        Its name for people.
    value : float or None
        None: could not be measured, as `says` explains.
    unit : str
        Of value and limits; empty: none.
    limits : tuple of float, or None
        From where on to look closer, and not to trust; infinite: never. None: told for information.
    says : str
        What the number means, in a sentence.
    advice : str
        What to do if it is beyond a limit.
    falls : bool
        Whether low values are the bad ones.
    """

    key: str
    title: str
    value: float | None
    unit: str
    limits: tuple[float, float] | None
    says: str
    advice: str = ""
    falls: bool = False

    @property
    def grade(self) -> Grade | None:
        """How good it is; None: not judged."""
        if self.limits is None or self.value is None or not math.isfinite(self.value):
            return None
        beyond = [self.value < limit if self.falls else self.value > limit for limit in self.limits]
        return GRADES[2 if beyond[1] else int(beyond[0])]

    @property
    def words(self) -> str:
        """What the number means, or that there is none."""
        without = self.value is not None and not math.isfinite(self.value)
        return "it could not be measured on this scan" if without else self.says

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON: None for what is not finite."""
        limits = None if self.limits is None else [_finite(limit) for limit in self.limits]
        return {
            "title": self.title,
            "value": _finite(self.value),
            "unit": self.unit,
            "look_closer": None if limits is None else limits[0],
            "do_not_trust": None if limits is None else limits[1],
            "bad_if": "below" if self.falls else "above",
            "grade": self.grade,
            "says": self.words,
            "advice": self.advice,
        }


@dataclass(frozen=True)
class Table:
    """Numbers by size, contrast, tissue and so on, as text."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Place:
    """Where something was taken off, or put in, that noise doesn't explain.

    Attributes
    ----------
    volume, slice, row, column : int
        Of its middle: slices are counted along the scan's slice axis; rows and columns of the slice as it is
        denoised.
    size_px : float
        Diameter of the disc, or length of the line, that fits best, pixels.
    strength : float
        How many times it is beyond chance: stds of what noise and the result's other errors give there.
    contrast : float
        Of the disc in stds of the noise; positive: brighter before than after.
    """

    volume: int
    slice: int
    row: int
    column: int
    size_px: float
    strength: float
    contrast: float

    @property
    def kind(self) -> str:
        """What happened there, in words."""
        if self.contrast > 0:
            return "something bright was taken off, or something dark put in"
        return "something dark was taken off, or something bright put in"

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "volume": self.volume,
            "slice": self.slice,
            "row": self.row,
            "column": self.column,
            "size_px": round(self.size_px, 1),
            "strength": round(self.strength, 2),
            "contrast": round(self.contrast, 2),
            "kind": self.kind,
        }


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes
    ----------
    key, title : str
        Its name in JSON, and for people.
    findings : tuple of Finding
        Its numbers.
    notes : tuple of str
        What was measured, on what, and what that cannot promise.
    tables : tuple of Table
        Numbers that are not judged one by one.
    missing : str or None
        Why it could not be made; None: it was.
    """

    key: str
    title: str
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    missing: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "title": self.title,
            "missing": self.missing,
            "figures": {finding.key: finding.as_dict() for finding in self.findings},
            "notes": list(self.notes),
            "tables": [
                {"title": table.title, "head": list(table.head), "rows": [list(row) for row in table.rows]}
                for table in self.tables
            ],
        }


@dataclass(frozen=True)
class Evidence:
    """All that is known of a result.

    Attributes
    ----------
    sections : tuple of Section
        In the order in which they are read.
    places : tuple of Place
        The strongest first.
    """

    sections: tuple[Section, ...]
    places: tuple[Place, ...] = ()

    @property
    def verdict(self) -> Grade:
        """The worst grade of all findings; at best "look closer" where nothing could be judged."""
        grades = [grade for each in self._findings if (grade := each.grade) is not None]
        return max(grades, key=GRADES.index) if grades else "look closer"

    @property
    def reasons(self) -> list[Finding]:
        """Findings that are not fine, the worst first."""
        found = [each for each in self._findings if each.grade not in (None, "fine")]
        return sorted(found, key=lambda each: -GRADES.index(each.grade or "fine"))

    @property
    def _findings(self) -> list[Finding]:
        return [each for section in self.sections for each in section.findings]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON: `verdict`, `reasons` and `figures` first."""
        reasons = [each.words for each in self.reasons]
        if not reasons and self.verdict != "fine":
            reasons = ["nothing could be judged: see what each section says is missing"]
        return {
            "verdict": self.verdict,
            "reasons": reasons,
            "figures": {each.key: _finite(each.value) for each in self._findings},
            "places": [place.as_dict() for place in self.places],
            "sections": {section.key: section.as_dict() for section in self.sections},
        }


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
