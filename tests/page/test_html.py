"""The report says what the evidence holds, hides nothing that is missing, and takes no text for HTML."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from diffdenoise.errors import OutputError
from diffdenoise.page.document import MOST_BYTES, document, number
from diffdenoise.page.html import report_dict, report_page, write_report
from diffdenoise.trust.evidence import Evidence, Place, Section, Table
from tests.page.made import HOSTILE, PROVENANCE, evidence, finding, report, shown_text, tiles


def page_of(given: Evidence, **more: object) -> str:
    told: dict[str, object] = {
        "provenance": PROVENANCE,
        "methods": "",
        "references": [],
        "title": "A",
        **more,
    }
    return report_page(given, tiles(given.places), **told)  # type: ignore[arg-type]


class Elements(HTMLParser):
    """All elements of a page, and what is in script blocks of JSON."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.data: dict[str, str] = {}
        self._block = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._block = dict(attrs).get("id") or "" if tag == "script" else ""

    def handle_data(self, data: str) -> None:
        if self._block:
            self.data[self._block] = self.data.get(self._block, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._block = ""


def test_sections_come_in_order_the_images_first() -> None:
    page = page_of(evidence())
    heads = re.findall(r"<h2[^>]*><span[^>]*>(\d+)</span> ([^<]+)", page)
    names = ["Look", "Verdict", "Residual", "Small objects", "Repeats", "Provenance"]
    assert heads == [(str(index), name) for index, name in enumerate(names, 1)]


def test_each_reason_leads_to_its_figure_with_value_limits_and_advice() -> None:
    page = page_of(evidence())
    reasons = re.findall(r"<li>(<p class=\"measured\">.*?)</li>", page)
    assert len(reasons) == 2
    links = [re.search(r'href="#([^"]+)"', each)[1] for each in reasons]  # type: ignore[index]
    assert [page.count(f'id="{link}"') for link in links] == [1, 1]
    article = page[page.index(f'id="{links[0]}"') :]
    assert article.index("Figure structure") < article.index("</article>")
    first, second = (shown_text(each) for each in reasons)
    for words in (
        "7.25",
        "stds",
        "above 3",
        "above 6",
        "do not trust",
        "What structure means.",
        "What to do about",
    ):
        assert words in first
    assert "below 0.8" in second
    assert "do not trust below 0.5" in second
    # There is nothing to be done about what is fine.
    assert "What to do about calm" not in shown_text(page)


@pytest.mark.parametrize(("worst", "verdict"), [(7.0, "Do not trust"), (4.0, "Look closer")])
def test_the_verdict_is_that_of_the_evidence(worst: float, verdict: str) -> None:
    page = page_of(evidence(worst))
    assert re.search(r'class="headline"><span[^>]*>.</span>([^<]+)<', page)[1] == verdict  # type: ignore[index]


def test_a_good_verdict_says_what_it_rests_on() -> None:
    calm = Evidence((Section("one", "One", (finding("calm", 1.0), finding("told", 9.0, limits=None))),))
    text = shown_text(page_of(calm))
    assert "The one figure that is judged is within the limits." in text
    assert "no promise" in text


def test_a_missing_part_is_seen_where_it_would_be_and_in_the_verdict() -> None:
    page = page_of(evidence())
    part = page[page.index('id="section-2"') :]
    assert 'class="missing"' in part[: part.index("</section>")]
    verdict = shown_text(page[page.index('id="verdict"') : page.index('id="section-0"')])
    assert "Missing from the evidence" in verdict
    assert "There is no second acquisition." in verdict


def test_where_nothing_could_be_judged_the_page_says_so() -> None:
    nothing = Evidence((Section("one", "One", missing="It failed."),))
    assert "Nothing could be judged" in shown_text(page_of(nothing))
    unknown = Evidence((Section("one", "One", (finding("a", None), finding("b", math.nan))),))
    text = shown_text(page_of(unknown))
    assert "Nothing could be judged" in text
    assert text.count("not measured") == 2


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    spot = Place(0, 2, 10, 10, 4.0, 9.0, 2.0)
    bad = finding(HOSTILE, 9.0, title=HOSTILE, unit=HOSTILE, says=HOSTILE, advice=HOSTILE)
    rows = Table(HOSTILE, (HOSTILE,), ((HOSTILE,),))
    given = Evidence(
        (
            Section(HOSTILE, HOSTILE, (bad,), (HOSTILE,), (rows,)),
            Section("gone", "Gone", missing=HOSTILE),
        ),
        (spot,),
    )
    shown = tiles((spot,))
    shown = replace(shown, window=replace(shown.window, words=HOSTILE, unit=HOSTILE))
    path = tmp_path / "a.html"
    write_report(path, given, shown, {HOSTILE: HOSTILE}, HOSTILE, [HOSTILE], HOSTILE)
    page = path.read_text(encoding="utf-8")
    plain = Elements(page_of(evidence(places=(spot,))))
    tags = Elements(page)
    assert {tag for tag, _ in tags.found} <= {tag for tag, _ in plain.found} | {"svg", "rect", "path"}
    images = [attributes for tag, attributes in tags.found if tag == "img"]
    assert all((each["src"] or "").startswith("data:image/webp;base64,") for each in images)
    assert not any(name.startswith("on") for _, attributes in tags.found for name in attributes)
    assert "<img src=x" not in page
    assert json.loads(tags.data["evidence"])["sections"][HOSTILE]["title"] == HOSTILE
    assert page.count("<title>") == 1


def test_names_that_are_no_text_are_written_too(tmp_path: Path) -> None:
    report(tmp_path / "a.html", title="scan-\udcff.nii")
    assert "scan-?.nii" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_the_json_in_the_page_is_the_evidence() -> None:
    given = evidence(places=(Place(0, 1, 2, 3, 4.0, 5.0, 6.0),))
    found = json.loads(Elements(page_of(given)).data["evidence"])
    assert found == json.loads(json.dumps(report_dict(given, PROVENANCE)))
    assert found["verdict"] == "do not trust"
    assert found["figures"]["unknown"] is None
    assert found["places"][0]["row"] == 2
    assert found["provenance"] == PROVENANCE


def test_nothing_is_allowed_but_the_pages_own_script_style_and_images() -> None:
    page = page_of(evidence())
    metas = [each for tag, each in Elements(page).found if tag == "meta" and "http-equiv" in each]
    policy = metas[0]["content"] or ""
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy
    assert all(rules[kind].startswith("'sha256-") for kind in ("script-src", "style-src"))
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)


def test_suspicious_places_are_listed_each_with_a_button() -> None:
    spots = (Place(0, 1, 5, 6, 4.0, 9.0, 2.5), Place(0, 3, 7, 8, 4.0, 8.0, -2.5))
    page = page_of(evidence(places=spots))
    assert re.findall(r'data-place="(\d)"', page) == ["0", "1"]
    text = shown_text(page)
    assert "slice 1, row 5, column 6: something bright was taken off, or something dark put in" in text
    assert "slice 3, row 7, column 8: something dark was taken off, or something bright put in" in text
    data = json.loads(Elements(page).data["viewer-data"])
    assert [[mark[0] for mark in each["marks"]] for each in data["pictures"]] == [[], [0], [], [1], []]
    assert data["places"] == [1, 3]


def test_a_place_on_a_slice_that_is_not_shown_has_no_button() -> None:
    spots = (Place(0, 1, 5, 6, 4.0, 9.0, 2.5),)
    shown = tiles(spots)
    shown = replace(shown, pictures=tuple(each for each in shown.pictures if not each.marks))
    page = report_page(evidence(places=spots), shown, PROVENANCE, "", [], "A")
    assert "data-place=" not in page.split("<script>")[0]
    assert "not among the slices shown" in page


def test_pictures_give_way_to_evidence_that_needs_the_room(tmp_path: Path) -> None:
    spot = Place(0, 3, 10, 10, 4.0, 9.0, 2.0)
    shown = tiles((spot,))
    # Each of 400 kB, all five too many beside tables of 1.5 MB.
    big = dict.fromkeys(("noisy", "denoised", "residual"), b"x" * 100000)
    shown = replace(shown, pictures=tuple(replace(each, images=big) for each in shown.pictures))
    rows = tuple((f"{index}", "a" * 100) for index in range(12_000))
    given = replace(
        evidence(places=(spot,)), sections=(Section("a", "A", tables=(Table("T", ("x", "y"), rows),)),)
    )
    path = tmp_path / "a.html"
    write_report(path, given, shown, {}, "", [], "A")
    page = path.read_text()
    assert MOST_BYTES - 500_000 < path.stat().st_size <= MOST_BYTES
    assert "11,800 more rows" in page
    slices = re.findall(r"<figcaption>slice (\d)", page)
    assert 0 < len(slices) < 5
    assert "3" in slices


def test_evidence_that_fits_in_no_page_is_refused_and_nothing_written(tmp_path: Path) -> None:
    given = Evidence((Section("a", "A", notes=("x" * MOST_BYTES,)),))
    with pytest.raises(OutputError, match="give shorter texts"):
        write_report(tmp_path / "a.html", given, tiles(), {}, "", [], "A")
    assert list(tmp_path.iterdir()) == []


def test_a_page_without_any_picture_says_so() -> None:
    text = shown_text(report_page(evidence(), replace(tiles(), pictures=()), {}, "", [], "A"))
    assert "No picture fits" in text


def test_an_existing_file_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    path = report(tmp_path / "new" / "a.html")
    before = path.read_bytes()
    given: Any = (evidence(1.0), tiles(), PROVENANCE, "", [], "Another")
    with pytest.raises(OutputError, match="exists already"):
        write_report(path, *given)
    assert path.read_bytes() == before
    write_report(path, *given, overwrite=True)
    assert path.read_bytes() != before
    for wrong, said in ((tmp_path / "a.png", "suffix"), (tmp_path / "new", "suffix")):
        with pytest.raises(OutputError, match=said):
            write_report(wrong, *given)
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_report(tmp_path / "folder.html", *given, overwrite=True)


def test_values_of_a_template_are_not_taken_for_its_places() -> None:
    assert "$title" in document("$body", "<p>$title</p>", "group.js").split("<script>")[0]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1234567.0, "1,234,567"),
        (0.123456, "0.123"),
        (-2.5, "\N{MINUS SIGN}2.5"),
        (1e9, "1e+09"),
        (None, "–"),
        (4.0, "4"),
    ],
)
def test_numbers_are_written_as_people_do(value: float | None, said: str) -> None:
    assert number(value) == said


def test_a_gauge_shows_on_which_side_of_its_limits_a_value_is() -> None:
    page = page_of(evidence())

    def drawn(title: str) -> tuple[list[tuple[str, float, float]], float]:
        article = page[page.index(f"<h3>{title}</h3>") :]
        article = article[: article.index("</article>")]
        zones = re.findall(
            r'<rect x="([\d.]+)" y="8" width="([\d.]+)" height="6" class="zone (\w+)"', article
        )
        marker = float(re.search(r'd="M([\d.]+) 11m', article)[1])  # type: ignore[index]
        return [(name, float(x), float(x) + float(width)) for x, width, name in zones], marker

    for title, order, inside in (
        ("Figure structure", ["fine", "closer", "distrust"], "distrust"),
        ("Figure calm", ["fine", "closer", "distrust"], "fine"),
        ("Figure kept", ["distrust", "closer", "fine"], "closer"),
    ):
        zones, marker = drawn(title)
        assert [name for name, _, _ in zones] == order
        assert [name for name, begin, end in zones if begin <= marker <= end] == [inside]
