"""Findings are graded by their limits, and the worst one decides."""

from __future__ import annotations

import json
import math

import pytest

from diffdenoise.trust.evidence import Evidence, Finding, Place, Section, Table

NAN, INF = math.nan, math.inf


def finding(
    value: float | None,
    limits: tuple[float, float] | None = (1.0, 2.0),
    *,
    falls: bool = False,
    says: str = "it is so",
    key: str = "one",
) -> Finding:
    return Finding(key, "One", value, "px", limits, says, "do this", falls)


def evidence(*findings: Finding) -> Evidence:
    return Evidence((Section("a", "A", findings[:1]), Section("b", "B", findings[1:])))


@pytest.mark.parametrize(
    ("value", "grade"),
    [
        (-5.0, "fine"),
        (1.0, "fine"),
        (1.001, "look closer"),
        (2.0, "look closer"),
        (2.001, "do not trust"),
        (None, None),
        (NAN, None),
        (INF, None),
    ],
)
def test_beyond_a_limit_is_worse_and_the_limit_itself_is_not(value: float | None, grade: str | None) -> None:
    assert finding(value).grade == grade
    assert finding(value, None).grade is None


@pytest.mark.parametrize(
    ("value", "grade"),
    [(0.7, "fine"), (0.699, "look closer"), (0.4, "look closer"), (0.399, "do not trust"), (NAN, None)],
)
def test_of_some_numbers_low_ones_are_bad(value: float, grade: str | None) -> None:
    assert finding(value, (0.7, 0.4), falls=True).grade == grade


def test_an_infinite_limit_is_never_passed() -> None:
    assert finding(1e9, (1.0, INF)).grade == "look closer"
    assert finding(-1e9, (0.6, -INF), falls=True).grade == "look closer"


def test_the_worst_finding_decides_and_the_worst_reasons_come_first() -> None:
    found = evidence(
        finding(0.0, says="a"),
        finding(1.5, says="b"),
        finding(9.0, says="c"),
        finding(NAN, says="d"),
        finding(1.6, says="e"),
    )
    assert found.verdict == "do not trust"
    assert [each.says for each in found.reasons] == ["c", "b", "e"]
    assert found.as_dict()["reasons"] == ["c", "b", "e"]
    assert evidence(finding(0.0), finding(1.5)).verdict == "look closer"
    fine = evidence(finding(0.0), finding(0.5), finding(None))
    assert (fine.verdict, fine.reasons, fine.as_dict()["reasons"]) == ("fine", [], [])


@pytest.mark.parametrize("found", [evidence(), evidence(finding(NAN), finding(7.0, None))])
def test_what_could_not_be_judged_is_not_fine(found: Evidence) -> None:
    assert found.verdict == "look closer"
    assert found.reasons == []
    (reason,) = found.as_dict()["reasons"]
    assert "nothing could be judged" in reason


def test_its_json_holds_all_and_no_nan() -> None:
    sections = (
        Section(
            "a",
            "A",
            (finding(NAN, (0.5, -INF), falls=True), finding(3.0, None, key="two")),
            ("a note",),
            (Table("T", ("x", "y"), (("1", "2"),)),),
        ),
        Section("b", "B", missing="too small"),
    )
    place = Place(0, 3, 10, 20, 8.123, 7.4567, -1.005)
    tree = json.loads(json.dumps(Evidence(sections, (place,)).as_dict(), allow_nan=False))
    assert list(tree)[:3] == ["verdict", "reasons", "figures"]
    assert tree["figures"] == {"one": None, "two": 3.0}
    one = tree["sections"]["a"]["figures"]["one"]
    assert one["says"] == "it could not be measured on this scan"
    assert (one["look_closer"], one["do_not_trust"], one["bad_if"]) == (0.5, None, "below")
    assert tree["sections"]["a"]["figures"]["two"]["bad_if"] == "above"
    assert tree["sections"]["a"]["tables"] == [{"title": "T", "head": ["x", "y"], "rows": [["1", "2"]]}]
    assert tree["sections"]["a"]["notes"] == ["a note"]
    assert tree["sections"]["b"]["missing"] == "too small"
    (found,) = tree["places"]
    assert (found["slice"], found["row"], found["column"], found["size_px"]) == (3, 10, 20, 8.1)
    assert (found["strength"], found["kind"]) == (
        7.46,
        "something dark was taken off, or something bright put in",
    )


def test_the_sign_of_a_place_tells_what_may_have_happened() -> None:
    assert Place(0, 0, 0, 0, 4, 9, 1.0).kind == "something bright was taken off, or something dark put in"
    assert Place(0, 0, 0, 0, 4, 9, -1.0).kind == "something dark was taken off, or something bright put in"
