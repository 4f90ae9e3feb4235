"""Reports of many scans, read from their JSON alone, with care: files may come from anyone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from diffdenoise.errors import InputError
from diffdenoise.plain_files import NotPlainError, parse_json, read_plain
from diffdenoise.scan.folder import files_below
from diffdenoise.trust.evidence import GRADES, Grade

#: How a report's file name ends, unless its page lies beside it.
REPORT = "report.json"
#: Bytes of a report: one of every table there is takes a hundredth.
_MOST_BYTES = 2**24
#: A value is an outlier if it is further than this many robust stds from the median, and what the median
#: distance and the mean distance from it are in stds of a normal distribution (Iglewicz and Hoaglin 1993).
OUTLYING, _MEDIAN_TO_STD, _MEAN_TO_STD = 3.5, 1.4826, 1.2533


@dataclass(frozen=True)
class Row:
    """One report.

    Attributes
    ----------
    name : str
        Path of its file in the folder, without the ending.
    verdict : Grade
        As it says.
    reasons : int
        How many there are.
    values : dict of str to float
        Figures that were measured.
    grades : dict of str to Grade
        Of the figures that are judged.
    page : str or None
        Path in the folder of the page beside it, if there is one.
    """

    name: str
    verdict: Grade
    reasons: int
    values: Mapping[str, float]
    grades: Mapping[str, Grade]
    page: str | None = None


@dataclass(frozen=True)
class Figure:
    """One figure over all reports.

    Attributes
    ----------
    key, title, unit : str
        As reports name it.
    limits : (float or None, float or None)
        From where on to look closer, and not to trust; None: never, or reports don't agree on it.
    falls : bool
        Whether low values are the bad ones.
    is_judged : bool
        Whether any report judges it.
    """

    key: str
    title: str
    unit: str
    limits: tuple[float | None, float | None] = (None, None)
    falls: bool = False
    is_judged: bool = False


@dataclass(frozen=True)
class Cohort:
    """All reports below a folder.

    Attributes
    ----------
    rows : tuple of Row
        The worst first.
    figures : tuple of Figure
        In the order in which reports first name them, judged ones first.
    broken : tuple of (str, str)
        Files that could not be read as reports, and why.
    """

    rows: tuple[Row, ...]
    figures: tuple[Figure, ...]
    broken: tuple[tuple[str, str], ...] = ()


class _NotAReportError(Exception):
    """A file doesn't hold a report; the message says what is wrong with it."""


@dataclass
class _Seen:
    """What reports say of a figure."""

    title: str
    unit: str
    limits: set[tuple[float | None, float | None, bool]] = field(default_factory=set)
    is_judged: bool = False


def read_cohort(folder: Path) -> Cohort:
    """Read all reports below a folder.

    Parameters
    ----------
    folder : path
        Files whose names end in report.json, and JSON files beside a page of the same name, are reports.

    Raises
    ------
    InputError
        If there is no such folder, or no report in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one that holds reports")
    files = [path for path in files_below(folder) if _is_report(path)]
    if not files:
        raise InputError(
            f"{folder}: holds no report; expected *{REPORT}, or pages with their JSON beside them"
        )
    rows, broken, taken, seen = list[Row](), [], set[str](), dict[str, _Seen]()
    for path in files:
        name = path.relative_to(folder).as_posix()
        try:
            row = _row(path, name, seen)
            # "a/report.json" and "a_report.json".
            rows.append(replace(row, name=name) if row.name in taken else row)
            taken.add(rows[-1].name)
        except _NotAReportError as error:
            broken.append((name, str(error)))
    rows.sort(key=lambda row: (-GRADES.index(row.verdict), -row.reasons, row.name))
    figures = [
        Figure(key, one.title, one.unit, (first, second), falls, one.is_judged)
        for key, one in seen.items()
        for first, second, falls in [one.limits.pop() if len(one.limits) == 1 else (None, None, False)]
    ]
    figures.sort(key=lambda one: not one.is_judged)
    return Cohort(tuple(rows), tuple(figures), tuple(broken))


def _is_report(path: Path) -> bool:
    """Whether a file is called like a report: `denoise --report DIR` names them by the scan."""
    beside = path.suffix.lower() == ".json" and path.with_suffix(".html").is_file()
    return beside or path.name.lower().endswith(REPORT)


def _row(path: Path, name: str, seen: dict[str, _Seen]) -> Row:
    try:
        found = parse_json(read_plain(path, _MOST_BYTES))
    except NotPlainError as error:
        raise _NotAReportError(str(error)) from error
    except OSError as error:
        raise _NotAReportError(f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise _NotAReportError("is not JSON, or is cut off") from error
    if not isinstance(found, dict) or found.get("verdict") not in GRADES:
        raise _NotAReportError("is JSON, but no report: it has no verdict that is known here")
    reasons, values, grades = found.get("reasons"), dict[str, float](), dict[str, Grade]()
    for key, figure in _figures(found.get("sections")):
        value, grade = figure.get("value"), figure.get("grade")
        one = seen.setdefault(key, _Seen(_text(figure.get("title")) or key, _text(figure.get("unit"))))
        if _is_number(value):
            values[key] = float(value)
        if grade in GRADES:
            grades[key] = grade
            one.is_judged = True
        limits = (figure.get("look_closer"), figure.get("do_not_trust"))
        first, second = (float(limit) if _is_number(limit) else None for limit in limits)
        one.limits.add((first, second, figure.get("bad_if") == "below"))
    page = path.with_suffix(".html")
    return Row(
        _without_ending(name).rstrip("/_-. ") or name,
        found["verdict"],
        len(reasons) if isinstance(reasons, list) else 0,
        values,
        grades,
        f"{name.removesuffix(path.name)}{page.name}" if page.is_file() else None,
    )


def _without_ending(name: str) -> str:
    ending = next((one for one in (REPORT, ".json") if name.lower().endswith(one)), "")
    return name[: len(name) - len(ending)]


def _figures(sections: Any) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield the figures of all sections, as far as they are what they should be."""
    if not isinstance(sections, dict):
        raise _NotAReportError("is JSON, but no report: it has no sections")
    for part in sections.values():
        figures = part.get("figures") if isinstance(part, dict) else None
        if not isinstance(figures, dict):
            raise _NotAReportError("is JSON, but no report: a section has no figures")
        for key, figure in figures.items():
            if not isinstance(figure, dict):
                raise _NotAReportError("is JSON, but no report: a figure is no object")
            yield key, figure


def _is_number(value: Any) -> TypeGuard[int | float]:
    # As large as floats can be: beyond that, JSON's integers can't be turned into one.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and math.isfinite(value)
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def outliers(values: Mapping[str, float]) -> dict[str, float]:
    """Return which values lie far from the others, and how far.

    Parameters
    ----------
    values : dict of str to float
        By name.

    Returns
    -------
    dict of str to float
        Robust z of those beyond 3.5, the furthest first: distance from the median in stds told by the median
        distance, or, where over half of the values are the same, by the mean distance.
    """
    if len(values) < 3:
        return {}
    given = np.array(list(values.values()))
    distances = given - np.median(given)
    std = _MEDIAN_TO_STD * float(np.median(np.abs(distances)))
    std = std or _MEAN_TO_STD * float(np.mean(np.abs(distances)))
    if not std or not math.isfinite(std):
        return {}
    with np.errstate(over="ignore"):
        scores = np.nan_to_num(distances / std).tolist()
    far = {name: score for name, score in zip(values, scores, strict=True) if abs(score) > OUTLYING}
    return dict(sorted(far.items(), key=lambda item: -abs(item[1])))
