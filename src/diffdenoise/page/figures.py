"""What was measured, as HTML: a number, where it lies between its limits, what it means and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from diffdenoise.page.document import element, number, table, text
from diffdenoise.trust.evidence import GRADES, Evidence, Finding, Grade, Section

#: Names of grades in style sheets.
_CLASSES = dict(zip(GRADES, ("fine", "closer", "distrust"), strict=True))
_SIGNS = dict(zip(GRADES, ("\N{CHECK MARK}", "!", "\N{MULTIPLICATION SIGN}"), strict=True))
_MEANINGS = dict(
    zip(
        GRADES,
        (
            "Nothing that was measured speaks against this result. That is no promise that it is right.",
            "Something was found that should be looked at before this result is used.",
            "Something was found that speaks against using this result.",
        ),
        strict=True,
    )
)
#: Size of the drawing of a number between its limits, in its own units, and free room at its ends.
_WIDTH, _HEIGHT, _ROOM = 240, 22, 0.12
#: Rows of a table that are shown.
_MOST_ROWS = 200


def class_of(grade: Grade | None) -> str:
    """Return the name of a grade in the style sheet."""
    return "unjudged" if grade is None else _CLASSES[grade]


def badge(grade: Grade | None) -> str:
    """Return a grade in words, with a sign, in its colour."""
    if grade is None:
        return element("span", "for information", class_="grade unjudged")
    sign = element("span", _SIGNS[grade], class_="sign", aria_hidden="true")
    return element("span", sign, text(grade), class_=f"grade {class_of(grade)}")


def anchors(evidence: Evidence) -> dict[int, str]:
    """Return the places of findings on the page, by identity: keys may repeat, or hold anything."""
    found = [finding for section in evidence.sections for finding in section.findings]
    return {id(finding): f"figure-{index}" for index, finding in enumerate(found, 1)}


def verdict(evidence: Evidence, heading: str) -> str:
    """Return the section that says whether to trust the result, and why.

    Parameters
    ----------
    evidence : Evidence
        All of it.
    heading : str
        HTML of the section's title.
    """
    grade, places = evidence.verdict, anchors(evidence)
    sign = element("span", _SIGNS[grade], class_="sign", aria_hidden="true")
    reasons = [_reason(finding, places[id(finding)]) for finding in evidence.reasons]
    judged = [each for section in evidence.sections for each in section.findings if each.grade is not None]
    if reasons:
        why = element("ol", *reasons, class_="reasons")
    elif judged:
        count = (
            "The one figure that is judged is"
            if len(judged) == 1
            else f"All {len(judged)} judged figures are"
        )
        why = element("p", f"{count} within the limits.")
    else:
        why = element("p", "Nothing could be judged: see what is missing below.")
    gaps = [
        element(
            "li", element("a", text(section.title), href=f"#section-{index}"), f": {text(section.missing)}"
        )
        for index, section in enumerate(evidence.sections)
        if section.missing is not None
    ]
    if gaps:
        why += element("p", "Missing from the evidence:") + element("ul", *gaps)
    return element(
        "section",
        heading,
        element("p", sign, text(grade).capitalize(), class_="headline"),
        element("p", _MEANINGS[grade], class_="meaning"),
        why,
        id="verdict",
        class_=f"verdict {class_of(grade)}",
    )


def _reason(finding: Finding, anchor: str) -> str:
    link = element("a", text(finding.title), href=f"#{anchor}")
    return element(
        "li",
        element("p", link, f": {_value(finding)} ", badge(finding.grade), class_="measured"),
        element("p", text(_limits(finding)), class_="limits"),
        element("p", text(finding.words)),
        _advice(finding),
    )


def section(found: Section, index: int, heading: str, places: Mapping[int, str]) -> str:
    """Return a part of the evidence.

    Parameters
    ----------
    found : Section
        The part.
    index : int
        Which one, from 0.
    heading : str
        HTML of its title.
    places : dict of int to str
        See `anchors`.
    """
    parts = [heading]
    if found.missing is not None:
        parts.append(
            element(
                "div",
                element("strong", "This part of the evidence is missing."),
                f" {text(found.missing)}",
                class_="missing",
                role="note",
            )
        )
    parts += [_finding(each, places[id(each)]) for each in found.findings]
    for each in found.tables:
        left_out = len(each.rows) - _MOST_ROWS
        parts.append(element("h3", text(each.title)))
        parts.append(table(each.head, each.rows[:_MOST_ROWS]))
        if left_out > 0:
            parts.append(element("p", f"{left_out:,} more rows are in this page's JSON.", class_="note"))
    parts += [element("p", text(note), class_="note") for note in found.notes]
    return element("section", *parts, id=f"section-{index}")


def _finding(finding: Finding, anchor: str) -> str:
    head = element("h3", text(finding.title))
    judged = badge(finding.grade) if finding.limits is None or finding.grade else ""
    measured = element("p", _value(finding), " ", judged, class_="measured")
    limits = "" if finding.limits is None else element("p", text(_limits(finding)), class_="limits")
    return element(
        "article",
        element("div", head, element("p", text(finding.words)), _advice(finding), class_="words"),
        element("div", measured, _gauge(finding), limits, class_="number"),
        id=anchor,
        class_=f"finding {class_of(finding.grade)}",
    )


def _advice(finding: Finding) -> str:
    """What to do, where something is to be done."""
    if not finding.advice or finding.grade in (None, "fine"):
        return ""
    return element("p", element("strong", "What to do:"), f" {text(finding.advice)}", class_="advice")


def _value(finding: Finding) -> str:
    if finding.value is None or not math.isfinite(finding.value):
        return element("span", "not measured", class_="value none")
    unit = f" {text(finding.unit)}" if finding.unit else ""
    return element("span", f"{element('b', number(finding.value))}{unit}", class_="value")


def _limits(finding: Finding) -> str:
    return limits_said(finding.limits or (), finding.falls, finding.unit)


def limits_said(limits: Sequence[float | None], falls: bool, unit: str) -> str:
    """Return limits in words, without those that are never passed."""
    way = "below" if falls else "above"
    said = [
        f"{grade} {way} {number(limit)}{' ' if unit else ''}{unit}"
        for grade, limit in zip(GRADES[1:], limits, strict=False)
        if limit is not None and math.isfinite(limit)
    ]
    return "; ".join(said) or "no limit"


def _gauge(finding: Finding) -> str:
    """Draw the number on a line with its limits: which side is good, and how far it is from there."""
    limits = [limit for limit in finding.limits or () if math.isfinite(limit)]
    if finding.value is None or not math.isfinite(finding.value) or not limits:
        return ""
    points = [finding.value, *limits]
    least, most = min([0.0, *points]), max([0.0, *points])
    room = _ROOM * (most - least)
    if room == 0:
        return ""
    begin, end = (least - room if least < 0 else 0.0), (most + room if most > 0 else 0.0)

    def at(value: float) -> float:
        return (value - begin) / (end - begin) * _WIDTH

    edges = [begin, *sorted(limits), end]
    names = [
        "fine",
        *(
            _CLASSES[g]
            for g, limit in zip(GRADES[1:], finding.limits or (), strict=True)
            if math.isfinite(limit)
        ),
    ]
    if finding.falls:
        names.reverse()
    zones = "".join(
        element(
            "rect",
            x=f"{at(low):.1f}",
            y=8,
            width=f"{at(high) - at(low):.1f}",
            height=6,
            class_=f"zone {name}",
        )
        for low, high, name in zip(edges[:-1], edges[1:], names, strict=True)
    )
    ticks = "".join(element("path", d=f"M{at(limit):.1f} 5v12", class_="tick") for limit in limits)
    x = at(finding.value)
    marker = element("path", d=f"M{x:.1f} 11m-5 0l5 -6l5 6l-5 6z", class_=f"marker {class_of(finding.grade)}")
    said = f"{number(finding.value)}; {_limits(finding)}"
    return element(
        "svg",
        zones,
        ticks,
        marker,
        viewBox=f"-6 0 {_WIDTH + 12} {_HEIGHT}",
        role="img",
        aria_label=said,
        class_="gauge",
    )
