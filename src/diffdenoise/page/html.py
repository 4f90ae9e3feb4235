"""The report on one result: a page that anyone can open, and the same facts for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffdenoise.page.document import (
    MOST_BYTES,
    check_page,
    document,
    element,
    json_block,
    pairs,
    text,
    write_page,
)
from diffdenoise.page.figures import anchors, badge, section, verdict
from diffdenoise.page.tiles import Tiles
from diffdenoise.page.viewer import viewer
from diffdenoise.trust.evidence import Evidence

#: Of the JSON; changes when what is there before changes its meaning.
_FORMAT = 1
_NO_DEVICE = (
    "DiffDenoise is research software, which nobody has cleared for diagnosis. This report does not replace "
    "a look at the scan as it was acquired."
)


def report_dict(evidence: Evidence, provenance: Mapping[str, str]) -> dict[str, Any]:
    """Return what programs read: `verdict`, `reasons`, `figures`, `places`, `sections` and `provenance`."""
    return {**evidence.as_dict(), "provenance": dict(provenance), "format": _FORMAT}


def write_report(
    path: Path,
    evidence: Evidence,
    tiles: Tiles,
    provenance: Mapping[str, str],
    methods: str,
    references: Sequence[str],
    title: str,
    *,
    overwrite: bool = False,
) -> None:
    """Write the report on a result: one HTML file that fetches nothing.

    Parameters
    ----------
    path : path
        File to write, ending in .html; either the whole file is written or nothing.
    evidence : Evidence
        What is known of the result.
    tiles : Tiles
        Its pictures, made with the evidence's places.
    provenance : dict of str to str
        What came from what, made by what: shown as a table.
    methods : str
        What was done, in words; an empty line begins a paragraph.
    references : sequence of str
        What the methods cite, in the order of its numbers.
    title : str
        Of the page.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If the file can't be written.

    Notes
    -----
    Pictures are left out, from the middle on, where the rest takes so much that a page would be too large.
    """
    check_page(path, overwrite)
    page = report_page(evidence, tiles, provenance, methods, references, title)
    while len(page.encode("utf-8", "replace")) > MOST_BYTES and tiles.pictures:
        shown = list(tiles.pictures)
        plain = [index for index, each in enumerate(shown) if not each.marks] or list(range(len(shown)))
        del shown[plain[len(plain) // 2]]
        tiles = replace(tiles, pictures=tuple(shown))
        page = report_page(evidence, tiles, provenance, methods, references, title)
    write_page(path, page)


def report_page(
    evidence: Evidence,
    tiles: Tiles,
    provenance: Mapping[str, str],
    methods: str,
    references: Sequence[str],
    title: str,
) -> str:
    """Return the report as HTML; see `write_report`."""
    places = anchors(evidence)
    parts = [
        element("header", element("h1", text(title)), _summary(evidence)),
        viewer(tiles, evidence.places, _heading(1, "Look")),
        verdict(evidence, _heading(2, "Verdict")),
    ]
    for index, each in enumerate(evidence.sections):
        parts.append(section(each, index, _heading(index + 3, each.title), places))
    parts.append(_provenance(len(parts), provenance, methods, references))
    parts.append(json_block("evidence", report_dict(evidence, provenance)))
    return document(title, element("main", *parts), "viewer.js")


def _heading(number: int, title: str) -> str:
    return element("h2", element("span", str(number), class_="n"), " ", text(title))


def _summary(evidence: Evidence) -> str:
    """One line below the title, so that nobody who only looks at images misses a bad verdict."""
    link = element("a", badge(evidence.verdict), href="#verdict")
    first = evidence.reasons[:1]
    why = f" {text(first[0].title)}" if first else ""
    more = len(evidence.reasons) - 1
    why += f", and {more} more" if more > 0 else ""
    return element("p", "Trust report: ", link, why, class_="summary")


def _provenance(number: int, given: Mapping[str, str], methods: str, references: Sequence[str]) -> str:
    paragraphs = [element("p", text(each)) for each in methods.split("\n\n") if each.strip()]
    cited = [element("li", text(each)) for each in references]
    return element(
        "section",
        _heading(number, "Provenance"),
        pairs(given),
        *([element("h3", "Methods"), *paragraphs] if paragraphs else []),
        *([element("h3", "References"), element("ol", *cited, class_="references")] if cited else []),
        element("p", element("strong", "Not a medical device."), f" {_NO_DEVICE}", class_="device"),
        id="provenance",
    )
