"""The page on many scans counts all of them, names what it can't read, and names those that differ."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffdenoise.errors import InputError, OutputError
from diffdenoise.page.cohort import outliers, read_cohort
from diffdenoise.page.group import write_group
from diffdenoise.page.html import report_dict
from diffdenoise.trust.evidence import Evidence, Section
from tests.page.made import HOSTILE, PROVENANCE, evidence, finding, shown_text


def fill(folder: Path, values: list[float]) -> Path:
    """Write a report for each value of a figure that is bad above 3."""
    for index, value in enumerate(values):
        place = folder / f"sub-{index:04d}"
        place.mkdir(parents=True)
        found = Evidence(
            (
                Section(
                    "a", "A", (finding("structure", value), finding("level", 5.0 + index % 7, limits=None))
                ),
            )
        )
        (place / "report.json").write_text(json.dumps(report_dict(found, PROVENANCE)))
    return folder


def page_of(folder: Path) -> str:
    out = folder / "group.html"
    write_group(folder, out, overwrite=True)
    return out.read_text(encoding="utf-8")


def names_in(page: str) -> list[str]:
    return re.findall(r'<tr><td data-value="([^"]*)"', page)


def test_two_scans_make_a_page(tmp_path: Path) -> None:
    page = page_of(fill(tmp_path, [1.0, 7.0]))
    assert names_in(page) == ["sub-0001", "sub-0000"]
    text = shown_text(page)
    assert re.search(r"Verdicts 1 . do not trust 0 . look closer 1 . fine", text)
    assert "1 to 7 stds, median 4; look closer above 3 stds; do not trust above 6 stds" in text


def test_two_thousand_scans_fit_and_the_worst_are_listed(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(0, 2.5, 2000)
    values[[17, 1234]] = 50.0, 4.0
    folder = fill(tmp_path, values.tolist())
    page = page_of(folder)
    assert len(page.encode()) < 3_000_000
    assert names_in(page)[:2] == ["sub-0017", "sub-1234"]
    assert len(names_in(page)) == 2000
    assert "sub-0017 (50)" in shown_text(page)


def test_json_beside_a_page_of_its_name_is_a_report(tmp_path: Path) -> None:
    # As `denoise --report DIR` names them.
    folder = fill(tmp_path, [1.0, 9.0])
    report = folder / "sub-0001" / "report.json"
    report.rename(folder / "scan.json")
    (folder / "scan.html").write_text("a page")
    (folder / "other.json").write_text("{}")
    cohort = read_cohort(folder)
    assert sorted((row.name, row.page) for row in cohort.rows) == [("scan", "scan.html"), ("sub-0000", None)]
    assert cohort.broken == ()


def test_where_not_all_fit_the_page_says_how_many_are_listed(tmp_path: Path) -> None:
    folder = fill(tmp_path, [1.0] * 700 + [9.0])
    for place in sorted(folder.iterdir()):
        place.rename(place.with_name(f"{place.name}-{'long' * 55}"))
    for copy in range(6):
        for place in sorted(folder.glob("sub-*")):
            (place / f"{copy}-report.json").write_bytes((place / "report.json").read_bytes())
    page = page_of(folder)
    assert len(page.encode()) < 3_000_000
    listed = names_in(page)
    assert 100 < len(listed) < 4907
    assert f"The {len(listed):,} worst of 4,907 scans are listed" in shown_text(page)
    # All seven reports of the bad scan come first.
    assert all(name.startswith("sub-0700") for name in listed[:7])


def test_files_that_are_no_reports_are_named(tmp_path: Path) -> None:
    folder = fill(tmp_path, [1.0, 2.0])
    broken = {
        "cut_report.json": '{"verdict": "fi',
        "list_report.json": "[1, 2]",
        "other_report.json": '{"verdict": "great", "sections": {}}',
        "odd_report.json": '{"verdict": "fine", "sections": {"a": 3}}',
        "deep_report.json": "[" * 100_000,
        "binary_report.json": "\0\1",
        "figure_report.json": '{"verdict": "fine", "sections": {"a": {"figures": {"b": 1}}}}',
    }
    for name, content in broken.items():
        (folder / name).write_text(content)
    (folder / "notes.json").write_text("{}")
    page = page_of(folder)
    text = shown_text(page)
    assert "7 of 9 files could not be read as reports." in text
    for name in broken:
        assert name in text
    assert "notes.json" not in text
    assert len(names_in(page)) == 2


def test_links_lead_from_the_page_to_the_reports_beside_the_json(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in out", [1.0, 2.0, 3.5])
    (folder / "sub-0001" / "report.html").write_text("")
    write_group(folder, tmp_path / "pages" / "all.html")
    page = (tmp_path / "pages" / "all.html").read_text()
    assert re.findall(r'href="([^"]*)"', page) == ["../in%20out/sub-0001/report.html"]


def test_hostile_names_and_texts_stay_texts(tmp_path: Path) -> None:
    name = HOSTILE.replace("/", "")
    found = Evidence((Section(HOSTILE, HOSTILE, (finding(HOSTILE, 9.0, title=HOSTILE, unit=HOSTILE),)),))
    (tmp_path / name).mkdir()
    (tmp_path / name / "report.json").write_text(json.dumps(report_dict(found, {})))
    (tmp_path / f"{name}_report.json").write_text("{")
    (tmp_path / name / "report.html").write_text("")
    page = page_of(tmp_path)
    assert "<img" not in page
    assert page.count("<script") == 1
    assert HOSTILE.replace("/", "") not in page
    assert "&lt;img src=x" in page


def test_a_link_instead_of_a_report_is_not_followed(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", [1.0])
    (tmp_path / "secret").write_text(json.dumps(report_dict(evidence(), {})))
    (folder / "report.json").symlink_to(tmp_path / "secret")
    found = read_cohort(folder)
    assert [row.name for row in found.rows] == ["sub-0000"]
    assert found.broken == (("report.json", "is a link; expected the file itself; copy it there"),)


def test_reports_of_one_name_are_told_apart(tmp_path: Path) -> None:
    text = json.dumps(report_dict(evidence(), {}))
    (tmp_path / "a").mkdir()
    for name in ("a/report.json", "a_report.json"):
        (tmp_path / name).write_text(text)
    assert len({row.name for row in read_cohort(tmp_path).rows}) == 2


def test_figures_not_measured_and_limits_that_differ_are_left_open(tmp_path: Path) -> None:
    for name, limits, value in (("a", (3.0, 6.0), 1.0), ("b", (2.0, 6.0), None)):
        found = Evidence((Section("s", "S", (finding("x", value, limits=limits), finding("y", None))),))
        (tmp_path / f"{name}_report.json").write_text(json.dumps(report_dict(found, {})))
    cohort = read_cohort(tmp_path)
    assert {figure.key: figure.limits for figure in cohort.figures} == {"x": (None, None), "y": (3.0, 6.0)}
    text = shown_text(page_of(tmp_path))
    assert "Not measured in 1 of 2 scans." in text
    assert "Measured in no scan: Figure y." in text


def test_numbers_that_no_report_would_hold_do_no_harm(tmp_path: Path) -> None:
    text = json.dumps(report_dict(Evidence((Section("s", "S", (finding("x", 1.0),)),)), {}))
    for index, value in enumerate(("1e999", "NaN", "9" * 400, '"1"', "true", "-1e299")):
        (tmp_path / f"{index}_report.json").write_text(text.replace('"value": 1.0', f'"value": {value}'))
    found = read_cohort(tmp_path)
    assert [row.values.get("x") for row in sorted(found.rows, key=lambda row: row.name)] == [None] * 5 + [
        -1e299
    ]
    page_of(tmp_path)


def test_a_folder_without_reports_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no report"):
        write_group(tmp_path, tmp_path / "a.html")
    with pytest.raises(InputError, match="no such folder"):
        write_group(tmp_path / "gone", tmp_path / "a.html")
    folder = fill(tmp_path, [1.0])
    (tmp_path / "a.html").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        write_group(folder, tmp_path / "a.html")


def test_outliers_are_those_beyond_three_and_a_half_robust_stds() -> None:
    # Median 0, median distance 1: a robust std of 1.4826.
    calm = {"a": -2.0, "b": -1.0, "c": 0.0, "d": 1.0, "e": 1.0, "f": -1.0}
    assert outliers({**calm, "g": 3.6 * 1.4826}).keys() == {"g"}
    assert outliers({**calm, "g": 3.4 * 1.4826}) == {}
    found = outliers({**calm, "g": 50.0, "h": -80.0})
    assert list(found) == ["h", "g"]
    assert found["h"] < 0 < found["g"]
    assert outliers({"a": 1.0, "b": 99.0}) == {}
    assert outliers(dict.fromkeys("abcdef", 3.0)) == {}
    # Over half are the same: the mean distance tells.
    assert outliers({**{str(index): 1.0 for index in range(20)}, "x": 2.0}).keys() == {"x"}


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=40))
def test_every_list_of_values_is_drawn(values: list[float]) -> None:
    from diffdenoise.page.cohort import Figure
    from diffdenoise.page.strip import strip

    named = {str(index): value for index, value in enumerate(values)}
    drawn = strip(Figure("a", "A", "", (0.0, None)), named, outliers(named))
    assert "nan" not in drawn
    assert "inf" not in drawn
    spots = re.findall(r"M(-?\d+) (-?\d+)h0", drawn)
    assert 0 < len(spots) <= len(values)
    assert all(0 <= int(x) <= 720 and 0 <= int(y) <= 54 for x, y in spots)


def test_points_lie_where_their_values_are(tmp_path: Path) -> None:
    page = page_of(fill(tmp_path, [1.0, 2.0, 5.0]))
    drawing = re.search(r'<svg[^>]*aria-label="Figure structure:.*?</svg>', page)[0]  # type: ignore[index]
    spots = sorted(int(x) for x in re.findall(r"M(\d+) \d+h0", drawing))
    assert spots[1] - spots[0] == pytest.approx((spots[2] - spots[0]) / 4, abs=2)
    ticks = re.findall(r'd="M([\d.]+) 4V\d+" class="tick (\w+)"', drawing)
    assert [name for _, name in ticks] == ["closer", "distrust"]
    assert spots[1] < float(ticks[0][0]) < spots[2] < float(ticks[1][0])
    # From end to end of the drawing.
    assert (spots[0], ticks[1][0]) == (14, "706.0")


def test_evidence_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report_dict(evidence(), PROVENANCE)))
    row = read_cohort(tmp_path).rows[0]
    assert (row.name, row.verdict, row.reasons) == ("report.json", "do not trust", 2)
    assert row.values == {"structure": 7.25, "calm": 1.5, "kept": 0.7, "told": 12345.0}
    assert row.grades == {"structure": "do not trust", "calm": "fine", "kept": "look closer"}
    assert replace(row, page=None) == row
