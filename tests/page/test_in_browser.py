"""Pages do in a real browser what they say: by mouse, by keyboard and on paper, and ask for nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffdenoise.page.group import write_group
from diffdenoise.page.html import report_dict, write_report
from diffdenoise.page.pictures import make_tiles
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.scan import Scan
from diffdenoise.trust.evidence import Place
from tests.page.browser import PROGRAM, WHY_NOT, Browser
from tests.page.made import HOSTILE, PROVENANCE, evidence, report, tiles
from tests.page.test_group import fill
from tests.scan.dicom.files import CANARY, CT, slices

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=WHY_NOT)

SPOTS = (Place(0, 1, 12, 20, 6.0, 9.0, 2.5), Place(0, 3, 20, 10, 6.0, 8.0, -2.5))
#: Greys of the middle of the stage's first image, and what it shows.
MIDDLE = (
    "(() => { const c = document.querySelector('#stage canvas'); const at = (x, y) => "
    "c.getContext('2d').getImageData(Math.round(x * c.width), Math.round(y * c.height), 1, 1).data; "
    "return [at(0.4, 0.3)[0], at(0.6, 0.3)[0]]; })()"
)
SHOWN = "document.getElementById('stage').dataset.shown"
SLICE = "Number(document.getElementById('stage').dataset.index)"
GOLD = (
    "(() => { const c = document.querySelector('#stage canvas'); const d = c.getContext('2d')"
    ".getImageData(c.width * 0.1, c.height * 0.1, c.width * 0.8, c.height * 0.8).data; let n = 0; "
    "for (let k = 0; k < d.length; k += 4) n += d[k] > 200 && d[k + 2] < 90; return n; })()"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(tmp_path_factory.mktemp("pages") / "report.html", SPOTS)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on a grey image, 100 in a window of 0 to 200, of which half was taken off."""
    values = np.full((60, 60), 100.0)
    values[:2], values[-2:] = 0, 200
    shown = make_tiles(Scan(values), Scan(values / 2), 25.0)
    shown = replace(shown, window=replace(shown.window, low=0.0, high=200.0))
    shown = replace(shown, tones=replace(shown.tones, tones=(0, 255), values=(0.0, 255.0)))
    # Tone 100 and 50 are 100 and 50 then.
    from diffdenoise.page.tones import encode

    images = {"noisy": 100, "denoised": 50, "residual": 190}
    made = {kind: encode(np.full((60, 60), tone, np.uint8), None) for kind, tone in images.items()}
    shown = replace(shown, pictures=(replace(shown.pictures[0], images=made),))
    path = tmp_path_factory.mktemp("plain") / "report.html"
    write_report(path, evidence(), shown, PROVENANCE, "", [], "plain")
    return path


def middle_of(browser: Browser) -> tuple[float, float, float, float]:
    """Left, top, width and height of the stage in the window."""
    left, top, width, height = browser.run(
        "(() => { const s = document.getElementById('stage'); s.scrollIntoView({block: 'start', behavior: "
        "'instant'}); const b = s.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()"
    )
    return left, top, width, height


def grey(value: float, low: float = 0, width: float = 200) -> float:
    return 255 * min(1, max(0, (value - low) / width))


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("width", [1280, 400])
def test_a_report_fits_the_window_asks_for_nothing_and_complains_of_nothing(
    browser: Browser, page: Path, width: int, is_dark: bool
) -> None:
    browser.open(page, width, is_dark=is_dark)
    for view in ("side", "residual", "uncertainty", "swipe"):
        browser.click(f"input[name=view][value={view}]")
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.complaints == []
    assert [each for each in browser.requests if not each.startswith("data:")] == [page.as_uri()]
    ground = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 300) == is_dark


def test_a_request_or_an_error_would_be_noticed(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.body.append(Object.assign(new Image(), {src: 'http://localhost:9/a.png'})) || 1")
    browser.settle()
    assert any("Content Security Policy" in each for each in browser.complaints)
    browser.run("setTimeout(() => { throw new Error('oops'); }) || 1")
    browser.settle()
    browser.wait_for("true")
    assert any("oops" in each for each in browser.complaints)


def test_left_of_the_swipe_line_is_noisy_and_right_of_it_denoised(browser: Browser, plain: Path) -> None:
    browser.open(plain)
    before, after = grey(100), grey(50)
    assert browser.run(MIDDLE) == pytest.approx([before, after], abs=1.5)
    left, top, width, height = middle_of(browser)
    browser.drag((left + width / 2, top + height / 2), (left + 0.8 * width, top + height / 2))
    assert browser.run(MIDDLE) == pytest.approx([before, before], abs=1.5)
    for _ in range(25):
        browser.key("ArrowLeft")
    assert browser.run(MIDDLE) == pytest.approx([after, after], abs=1.5)


@pytest.mark.parametrize(("key", "shown"), [("3", "noisy"), ("4", "denoised"), ("5", "residual")])
def test_keys_choose_what_is_shown(browser: Browser, plain: Path, key: str, shown: str) -> None:
    browser.open(plain)
    browser.key(key)
    assert browser.run(SHOWN) == shown
    expected = {"noisy": grey(100), "denoised": grey(50), "residual": 255 * 190 / 254}[shown]
    assert browser.run(MIDDLE) == pytest.approx([expected] * 2, abs=1.5)
    assert browser.run(f"document.querySelector('input[value={shown}]').checked")


def test_blinking_changes_noisy_and_denoised_until_it_is_stopped(browser: Browser, plain: Path) -> None:
    browser.open(plain)
    browser.run("document.getElementById('speed').value = 0.35")
    browser.key("b")
    for shown, tone in (("denoised", 50), ("noisy", 100), ("denoised", 50)):
        browser.wait_for(f"{SHOWN} === '{shown}'")
        assert browser.run(f"({SHOWN} === '{shown}') ? {MIDDLE} : null") in (
            None,
            pytest.approx([grey(tone)] * 2, abs=1.5),
        )
    assert browser.run("document.getElementById('blink').getAttribute('aria-pressed')") == "true"
    browser.click("#blink")
    assert browser.run(SHOWN) == "noisy|denoised"
    assert browser.run("document.getElementById('blink').getAttribute('aria-pressed')") == "false"


def test_nothing_moves_by_itself_for_who_asked_for_that(browser: Browser, plain: Path) -> None:
    browser.open(plain, is_still=True)
    browser.run("window.timers = 0, window.setInterval = () => { window.timers += 1; }, 1")
    shown = []
    for _ in range(3):
        browser.key("b")
        shown.append(browser.run(SHOWN))
    assert shown == ["denoised", "noisy", "denoised"]
    assert browser.run("window.timers") == 0
    assert browser.run("document.getElementById('speed-box').checkVisibility()") is False
    browser.key("1")
    assert browser.run(SHOWN) == "noisy|denoised"


def test_a_fast_blink_is_not_faster_than_is_safe(browser: Browser, plain: Path) -> None:
    browser.open(plain)
    # WCAG 2.3.1: three flashes, which are two changes each, in a second.
    assert float(browser.run("document.getElementById('speed').min")) >= 1 / 6
    browser.run("window.setInterval = (act, ms) => { window.every = ms; return 1; }, 1")
    browser.run("document.getElementById('speed').value = 0.01")
    browser.key("b")
    assert browser.run("window.every") >= 1000 / 6


def test_wheel_keys_and_slider_go_through_the_slices(browser: Browser, page: Path) -> None:
    browser.open(page)
    left, top, width, height = middle_of(browser)
    assert browser.run(SLICE) == 2
    browser.wheel(left + width / 2, top + height / 2, 100)
    browser.wait_for(f"{SLICE} === 3")
    browser.run("document.getElementById('stage').focus()")
    for key, expected in (("ArrowDown", 4), ("ArrowDown", 4), ("ArrowUp", 3), ("ArrowUp", 2)):
        browser.key(key)
        assert browser.run(SLICE) == expected
    browser.run("document.getElementById('slice').focus()")
    browser.key("ArrowLeft")
    assert browser.run(SLICE) == 1
    assert "slice 1 (of 0 to 4)" in browser.run("document.getElementById('caption').textContent")


def test_at_the_last_slice_the_wheel_moves_the_page(browser: Browser, page: Path) -> None:
    browser.open(page)
    left, top, width, height = middle_of(browser)
    for expected in (3, 4):
        browser.wheel(left + width / 2, top + height / 2, 100)
        browser.wait_for(f"{SLICE} === {expected}")
    before = browser.run("scrollY")
    browser.wheel(left + width / 2, top + height / 2, 100)
    browser.wait_for(f"scrollY > {before}")


def test_the_window_is_that_of_sliders_and_of_the_right_button(browser: Browser, plain: Path) -> None:
    browser.open(plain)
    browser.run(
        "for (const [id, value] of [['centre', 60], ['width', 100]]) { const e = document.getElementById(id);"
        "e.value = value; e.dispatchEvent(new Event('input')); }"
    )
    browser.settle()
    assert browser.run(MIDDLE) == pytest.approx([grey(100, 10, 100), grey(50, 10, 100)], abs=1.5)
    browser.run("document.getElementById('invert').click()")
    browser.settle()
    assert browser.run(MIDDLE) == pytest.approx([255 - grey(100, 10, 100), 255 - grey(50, 10, 100)], abs=1.5)
    browser.key("0")
    assert browser.run(MIDDLE) == pytest.approx([grey(100), grey(50)], abs=1.5)
    left, top, width, height = middle_of(browser)
    start = (left + width / 2, top + height / 2)
    browser.drag(start, (start[0] + 30, start[1] + 60), button="right")
    # A pixel is a 300th of the first window: wider by 20, its centre lower by 40.
    assert browser.run(MIDDLE) == pytest.approx([grey(100, -50, 220), grey(50, -50, 220)], abs=2)


def test_a_ct_is_in_the_files_own_window_and_in_usual_ones(browser: Browser, tmp_path: Path) -> None:
    values = np.full((3, 40, 40), 60, np.int16)
    slices(tmp_path / "in", 3, values=values, sop_class=CT, modality="CT", WindowCenter=40, WindowWidth=400)
    scan = read_scan(tmp_path / "in")
    path = tmp_path / "a.html"
    write_report(path, evidence(), make_tiles(scan, scan, 10.0), PROVENANCE, "", [], "CT")
    # Nothing of the headers, which hold a patient.
    assert CANARY not in path.read_text(encoding="utf-8")
    browser.open(path)
    said = "['centre', 'width'].map((id) => document.getElementById(`${id}-said`).textContent)"
    assert browser.run(said) == ["40", "400"]
    assert "the file's own: centre 40, width 400 HU" in browser.run(
        "document.getElementById('caption').textContent"
    )
    browser.run(
        "(e => { e.value = 'lung'; e.dispatchEvent(new Event('change')); })"
        "(document.getElementById('preset'))"
    )
    browser.settle()
    assert browser.run(said) == ["\N{MINUS SIGN}600", "1500"]


def test_zooming_keeps_what_is_below_the_pointer_and_moving_moves(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.getElementById('rings').click()")
    browser.key("3")
    corner = (
        "(() => { const c = document.querySelector('#stage canvas'); "
        "return [...c.getContext('2d').getImageData(c.width * 0.4, c.height * 0.4, 1, 1).data]; })()"
    )
    before = browser.run(corner)
    left, top, width, height = middle_of(browser)
    browser.wheel(left + 0.4 * width, top + 0.4 * height, -400, ctrl=True)
    browser.wait_for("document.getElementById('caption').textContent.includes('zoom')")
    assert browser.run(corner)[0] == pytest.approx(before[0], abs=12)
    browser.key("0")
    for _ in range(3):
        browser.key("+")
    assert "zoom 2.0" in browser.run("document.getElementById('caption').textContent")
    shot = "document.querySelector('#stage canvas').toDataURL()"
    still = browser.run(shot)
    browser.run("document.querySelector('input[name=drag][value=move]').click()")
    browser.drag((left + 200, top + 200), (left + 260, top + 230))
    assert browser.run(shot) != still
    browser.key("0")
    assert "zoom" not in browser.run("document.getElementById('caption').textContent")


def test_rings_can_be_switched_off_and_the_list_goes_to_them(browser: Browser, page: Path) -> None:
    browser.open(page, is_still=True)
    assert browser.run(GOLD) == 0
    browser.click("[data-place='1']")
    assert browser.run(SLICE) == 3
    assert browser.run(GOLD) > 50
    assert browser.run("document.activeElement.id") == "stage"
    browser.key("r")
    assert browser.run(GOLD) == 0
    assert not browser.run("document.getElementById('rings').checked")
    browser.click("#rings")
    assert browser.run(GOLD) > 50


def test_everything_can_be_reached_by_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page)
    reached: list[str] = []
    for _ in range(40):
        browser.key("Tab")
        reached.append(
            browser.run("(e => e.id || e.name || e.dataset.place || e.tagName)(document.activeElement)")
        )
    for wanted in (
        "view",
        "blink",
        "speed",
        "stage",
        "slice",
        "zoom-in",
        "reset",
        "rings",
        "centre",
        "drag",
        "1",
    ):
        assert wanted in reached, wanted
    browser.run("document.querySelector('.reasons a').focus()")
    browser.key("Enter")
    assert browser.run("location.hash") == "#figure-1"
    assert "Figure structure" in browser.run("document.querySelector(':target').textContent")


def test_paper_is_white_and_without_controls(browser: Browser, page: Path) -> None:
    browser.open(page, is_dark=True, is_on_paper=True)
    seen = "document.querySelector('SELECTOR').checkVisibility()"
    assert [browser.run(seen.replace("SELECTOR", each)) for each in (".bar", ".keys")] == [False, False]
    assert browser.run(seen.replace("SELECTOR", "#stage"))
    assert (
        min(map(int, re.findall(r"\d+", browser.run("getComputedStyle(document.body).backgroundColor"))))
        > 240
    )


def test_all_images_are_printed_side_by_side(browser: Browser, page: Path) -> None:
    browser.open(page)
    seen = "window.onPaper = document.getElementById('stage').dataset.shown"
    browser.run(f"addEventListener('beforeprint', () => {{ {seen}; }}), 1")
    content = browser.print()
    assert content.startswith(b"%PDF")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 8
    # At least as many images as there are kinds.
    assert len(re.findall(rb"/Subtype\s*/Image", content)) >= 4
    assert browser.run("window.onPaper") == "noisy denoised residual uncertainty"
    browser.settle()
    assert browser.run(SHOWN) == "noisy|denoised"
    assert browser.complaints == []


def test_without_scripts_images_and_words_are_there(browser: Browser, page: Path) -> None:
    browser.open(page, runs_scripts=False)
    assert browser.run("document.querySelector('#tiles img').checkVisibility()")
    assert browser.run("document.querySelector('#tiles img').naturalWidth") > 0
    assert not browser.run("document.getElementById('viewer').checkVisibility()")
    assert "Do not trust" in browser.run("document.getElementById('verdict').innerText")
    browser.open(page)
    assert not browser.run("document.querySelector('#tiles img').checkVisibility()")


def test_hostile_texts_run_nothing(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    write_report(path, evidence(), tiles(), {HOSTILE: HOSTILE}, HOSTILE, [HOSTILE], HOSTILE)
    browser.open(path)
    assert browser.complaints == []
    assert browser.run("document.title") == HOSTILE
    assert browser.run("document.querySelectorAll('[onerror]').length") == 0


@pytest.mark.parametrize("width", [1280, 400])
def test_a_group_can_be_sorted_by_mouse_and_keyboard(browser: Browser, tmp_path: Path, width: int) -> None:
    folder = fill(tmp_path / "in", [1.0, 9.0, 4.0, 2.0])
    (folder / "odd").mkdir()
    (folder / "odd" / "report.json").write_text(
        json.dumps(report_dict(replace(evidence(0), sections=()), {}))
    )
    path = tmp_path / "group.html"
    write_group(folder, path)
    browser.open(path, width)
    names = "[...document.querySelectorAll('#scans tbody tr')].map((row) => row.cells[0].textContent)"
    assert browser.run(names) == ["sub-0001", "odd", "sub-0002", "sub-0000", "sub-0003"]
    browser.click("#scans th:nth-child(4) button")
    # What was not measured is last, whichever way.
    assert browser.run(names) == ["sub-0001", "sub-0002", "sub-0003", "sub-0000", "odd"]
    browser.key("Enter")
    assert browser.run(names) == ["sub-0000", "sub-0003", "sub-0002", "sub-0001", "odd"]
    assert browser.run("document.querySelector('#scans th:nth-child(4)').ariaSort") == "ascending"
    browser.click("#scans th:nth-child(1) button")
    assert browser.run(names) == ["odd", "sub-0000", "sub-0001", "sub-0002", "sub-0003"]
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.complaints == []
    assert browser.requests == [path.as_uri()]
