"""The page on many scans: how many can be trusted, which are the worst, and which differ from the others."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median
from urllib.parse import quote

from diffdenoise.page.cohort import Cohort, Figure, Row, outliers, read_cohort
from diffdenoise.page.document import (
    MOST_BYTES,
    check_page,
    document,
    element,
    number,
    text,
    write_page,
)
from diffdenoise.page.figures import badge, class_of, limits_said
from diffdenoise.page.strip import strip
from diffdenoise.trust.evidence import GRADES

#: Figures that have a column of their own: wider tables can't be read.
_COLUMNS = 10
#: Bytes that the table of scans takes at most, and the list of files that are no reports.
_TABLE_BYTES, _BROKEN_BYTES = MOST_BYTES // 2, MOST_BYTES // 10
#: Figures that are drawn: each takes up to 20 kB.
_STRIPS = 40
#: Outliers that are named below a drawing.
_NAMED = 10


def write_group(folder: Path, out: Path, *, overwrite: bool = False) -> None:
    """Write a page on all scans whose reports lie below a folder.

    Parameters
    ----------
    folder : path
        Files whose names end in report.json, and JSON files beside a page of the same name, are reports;
        nothing else is read. Those that can't be read are named on the page.
    out : path
        File to write, ending in .html; either the whole file is written or nothing.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        If there is no report.
    OutputError
        If the page can't be written.
    """
    check_page(out, overwrite)
    # Links are relative, so that all can be moved together; not so from one Windows drive to another.
    try:
        base = Path(os.path.relpath(folder, out.parent)).as_posix()
    except ValueError:
        base = folder.resolve().as_posix()
    write_page(out, group_page(read_cohort(folder), f"{folder.resolve().name}: all scans", base))


def group_page(cohort: Cohort, title: str, base: str = ".") -> str:
    """Return the page as HTML.

    Parameters
    ----------
    cohort : Cohort
        All reports.
    title : str
        Of the page.
    base : str
        Way from the page to the reports' folder.
    """
    judged = [figure for figure in cohort.figures if figure.is_judged]
    parts = [
        element(
            "header", element("h1", text(title)), element("p", "Trust report of a group", class_="summary")
        ),
        _counts(cohort),
        _broken(cohort),
        _scans(cohort, (judged or list(cohort.figures))[:_COLUMNS], base),
        _strips(cohort),
        element(
            "p",
            element("strong", "Not a medical device."),
            " DiffDenoise is research software, which nobody has cleared for diagnosis.",
            class_="device",
        ),
    ]
    return document(title, element("main", *parts), "group.js")


def _counts(cohort: Cohort) -> str:
    counts = [(sum(row.verdict == grade for row in cohort.rows), badge(grade)) for grade in reversed(GRADES)]
    items = [element("li", element("b", f"{count:,}"), grade) for count, grade in counts]
    if cohort.broken:
        items.append(element("li", element("b", f"{len(cohort.broken):,}"), "not readable"))
    return element(
        "section", element("h2", "Verdicts"), element("ul", *items, class_="counts"), id="verdicts"
    )


def _broken(cohort: Cohort) -> str:
    """Files that are no reports, by name: a scan that is silently left out would look as if it were fine."""
    if not cohort.broken:
        return ""
    items, spent = [], 0
    for name, why in cohort.broken:
        items.append(element("li", element("strong", text(name)), f" {text(why)}"))
        spent += len(items[-1].encode("utf-8", "replace"))
        if spent > _BROKEN_BYTES:
            left = len(cohort.broken) - len(items)
            items.append(element("li", f"and {left:,} more"))
            break
    files = len(cohort.broken) + len(cohort.rows)
    head = f"{len(cohort.broken):,} of {files:,} files could not be read as reports."
    return element(
        "section",
        element(
            "div", element("p", element("strong", head)), element("ul", *items), class_="missing", role="note"
        ),
        id="broken",
    )


def _scans(cohort: Cohort, figures: list[Figure], base: str) -> str:
    heads = ["scan", "verdict", "reasons", *(figure.title for figure in figures)]
    top = "".join(element("th", element("button", text(head), type="button"), scope="col") for head in heads)
    rows, spent = [], 0
    for row in cohort.rows:
        rows.append(_table_row(row, figures, base))
        spent += len(rows[-1].encode("utf-8", "replace"))
        if spent > _TABLE_BYTES:
            rows.pop()
            break
    said = (
        f"The {len(rows):,} worst of {len(cohort.rows):,} scans are listed: more don't fit into this page."
        if len(rows) < len(cohort.rows)
        else "The worst come first."
    )
    note = element("p", f"{said} Choose a column's title to sort by it.", class_="note")
    inner = element(
        "table", element("thead", element("tr", top)), element("tbody", *rows), class_="cohort", id="scans"
    )
    box = element("div", inner, class_="scrolls long", tabindex=0, role="region", aria_label="scans")
    return element("section", element("h2", "Scans"), note, box, id="list")


def _table_row(row: Row, figures: list[Figure], base: str) -> str:
    name = text(row.name)
    if row.page is not None:
        name = element("a", name, href=quote(f"{base}/{row.page}".encode("utf-8", "surrogateescape")))
    cells = [
        element("td", name, data_value=row.name),
        element("td", badge(row.verdict), data_value=GRADES.index(row.verdict)),
        element("td", str(row.reasons), data_value=row.reasons),
    ]
    for figure in figures:
        value, grade = row.values.get(figure.key), row.grades.get(figure.key)
        unit = f" {text(figure.unit)}" if figure.unit and value is not None else ""
        mark = class_of(grade) if grade not in (None, GRADES[0]) else None
        # The grade in words too: colours alone aren't seen by all.
        cells.append(
            element(
                "td",
                f"{number(value)}{unit}",
                data_value=None if value is None else f"{value:.9g}",
                class_=mark,
                title=grade if mark else None,
            )
        )
    return element("tr", *cells)


def _strips(cohort: Cohort) -> str:
    """Every figure over all scans, with those named that differ."""
    parts = [element("h2", "Figures")]
    known = [
        (figure, {row.name: row.values[figure.key] for row in cohort.rows if figure.key in row.values})
        for figure in cohort.figures
    ]
    drawn = [(figure, values) for figure, values in known if values]
    for figure, values in drawn[:_STRIPS]:
        far = outliers(values)
        parts.append(element("h3", text(figure.title), f" ({text(figure.unit)})" if figure.unit else ""))
        parts.append(strip(figure, values, far))
        parts.append(element("p", text(_span(figure, list(values.values()))), class_="limits"))
        parts.append(_named(values, far, len(cohort.rows)))
    if len(drawn) > _STRIPS:
        parts.append(element("p", f"{len(drawn) - _STRIPS:,} more figures are not drawn.", class_="note"))
    empty = [figure.title for figure, values in known if not values]
    if empty:
        parts.append(element("p", f"Measured in no scan: {text(', '.join(empty[:_STRIPS]))}.", class_="note"))
    return element("section", *parts, id="figures")


def _span(figure: Figure, values: list[float]) -> str:
    unit = f" {figure.unit}" if figure.unit else ""
    ends = f"{number(min(values))} to {number(max(values))}{unit}, median {number(median(values))}"
    limits = limits_said(figure.limits, figure.falls, figure.unit)
    return f"{ends}; {limits}" if any(limit is not None for limit in figure.limits) else ends


def _named(values: dict[str, float], far: dict[str, float], scans: int) -> str:
    missing = scans - len(values)
    gap = f" Not measured in {missing:,} of {scans:,} scans." if missing else ""
    if not far:
        return element("p", f"No outlier.{gap}", class_="note")
    names = ", ".join(f"{name} ({number(values[name])})" for name in list(far)[:_NAMED])
    more = f", and {len(far) - _NAMED:,} more" if len(far) > _NAMED else ""
    return element("p", f"Far from the others: {text(names)}{more}.{gap}", class_="note outliers")
