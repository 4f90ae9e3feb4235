"""The page in a real browser: every state, by mouse and keyboard, at two widths; what was sent never runs."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

from tests.conftest import make_volume
from tests.page.browser import PROGRAM, WHY_NOT, Browser
from tests.serve.process import Server, until

pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason=WHY_NOT),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc"),
]
TOKEN = "token-of-the-page-0123"
HOSTILE = "<img src=x onerror=\"document.title='hacked'\">'; DROP TABLE jobs.npy"
#: Where pictures of every state are left to be looked at.
SHOTS = os.environ.get("DIFFDENOISE_SHOTS")
WIDTHS = (1280, 400)
READY = "document.body.dataset.ready === 'yes'"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server") / "data")
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def _none_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "server" in request.fixturenames:
        client = request.getfixturevalue("server").client
        for _ in range(2):
            for job in list(client.jobs()):
                client.delete(job["id"])


def scan(folder: Path, name: str = "scan.npy", seed: int = 0, shape: tuple[int, ...] = (40, 36, 5)) -> Path:
    np.save(folder / "made.npy", make_volume(shape, seed=seed))
    return (folder / "made.npy").rename(folder / name)


def open_page(browser: Browser, server: Server, width: int = 1280) -> None:
    browser.visit(f"{server.address}/", width)
    browser.wait_for(READY)


def choose(browser: Browser, *paths: Path) -> None:
    browser.choose("#files", *paths)
    browser.wait_for("document.getElementById('go').disabled === false")


def shot(browser: Browser, name: str, width: int) -> None:
    """Leave a picture, and check what holds in every state."""
    browser.settle()
    assert browser.run("document.documentElement.scrollWidth") <= width, name
    if SHOTS:
        browser.screenshot(Path(SHOTS) / f"{name}-{width}.png", is_whole=False)


def text(browser: Browser, selector: str) -> Any:
    return browser.run(f"(e => e && e.innerText)(document.querySelector({json.dumps(selector)}))")


def states(browser: Browser) -> Any:
    return browser.run("[...document.querySelectorAll('.state')].map((e) => e.dataset.state)")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_scan_goes_from_the_page_to_its_report_and_back(
    browser: Browser, server: Server, tmp_path: Path, width: int
) -> None:
    open_page(browser, server, width)
    assert browser.run("document.getElementById('empty').checkVisibility()")
    assert browser.run("document.getElementById('go').disabled")
    shot(browser, "1-empty", width)
    choose(browser, scan(tmp_path, seed=width))
    assert "scan.npy, 15 kB" in text(browser, "#chosen")
    browser.run("document.querySelector('details').open = true")
    shot(browser, "2-chosen", width)
    browser.click("#go")
    browser.wait_for("document.querySelectorAll('.job').length === 1")
    browser.wait_for("document.querySelector('.state').dataset.state === 'done'")
    browser.wait_for("document.querySelector('[data-does=report]') !== null")
    assert "left" not in text(browser, ".said")
    assert browser.run("document.querySelector('.state').textContent.startsWith('done: ')")
    shot(browser, "3-done", width)
    browser.click("[data-does=report]")
    browser.wait_for("document.querySelector('iframe') !== null")
    until(lambda: any(each.endswith("/report?number=1") for each in browser.requests))
    # What it draws in there is its own affair: the page may not look into it.
    browser.wait_for("document.querySelector('iframe').contentDocument === null")
    browser.wait(1.5)
    shot(browser, "4-report", width)
    browser.click("[data-does=report]")
    assert browser.run("document.querySelector('iframe')") is None
    links = browser.run(
        "[...document.querySelectorAll('.actions a')].map((a) => a.pathname.split('/').pop())"
    )
    assert links == ["result", "residual"]
    size = browser.run(
        "fetch(document.querySelector('.actions a').href).then((r) => r.blob()).then((b) => b.size)"
    )
    assert size == 40 * 36 * 5 * 2 + 128
    assert browser.complaints == []
    assert all(each.startswith(server.address) or each.startswith("data:") for each in browser.requests)


@pytest.mark.parametrize("width", WIDTHS)
def test_progress_places_cancelling_failing_and_deleting(
    browser: Browser, server: Server, tmp_path: Path, width: int
) -> None:
    open_page(browser, server, width)
    choose(browser, scan(tmp_path, "knee.npy", seed=10 + width, shape=(96, 96, 16)))
    browser.run("document.querySelector('input[value=learn]').click()")
    assert not browser.run("document.getElementById('minutes').disabled")
    browser.click("#go")
    browser.wait_for("(e => e && e.dataset.state === 'running')(document.querySelector('.state'))")
    browser.wait_for("document.querySelector('.said').textContent.includes('stage')")
    assert browser.run("document.querySelector('.job progress').checkVisibility()")
    # Small scans are soon learned: this one is held where it is.
    (worker,) = server.workers()
    os.kill(worker, signal.SIGSTOP)
    # Sent by others, shown here without being asked for.
    for number in range(2):
        server.client.send(scan(tmp_path, f"other{number}.npy", seed=20 + width + number), report=False)
    browser.wait_for("document.querySelectorAll('.job').length === 3")
    browser.wait_for("document.querySelector('.said').textContent.startsWith('1 scan before it')")
    assert states(browser) == ["queued", "queued", "running"]
    assert text(browser, "#counts") == "1 running, 2 waiting"
    shot(browser, "5-running-and-queued", width)
    browser.run("document.querySelectorAll('[data-does=cancel]')[1].click()")
    browser.wait_for("document.querySelectorAll('[data-state=cancelled]').length === 1")
    browser.wait_for("document.querySelector('.said').textContent.startsWith('next')")
    os.kill(worker, signal.SIGCONT)
    browser.run("[...document.querySelectorAll('[data-does=cancel]')].pop().click()")
    browser.wait_for("document.querySelector('.state').dataset.state === 'done'")
    bad = tmp_path / "broken.nii.gz"
    bad.write_bytes(b"no scan")
    browser.run("document.querySelector('input[value=once]').click()")
    choose(browser, bad)
    browser.click("#go")
    browser.wait_for("document.querySelector('.state').dataset.state === 'failed'")
    assert text(browser, ".said.bad").startswith("broken.nii.gz: ")
    shot(browser, "6-failed-and-cancelled", width)
    browser.run("window.confirm = () => true")
    browser.run("document.getElementById('search').value = 'broken'")
    browser.run("document.getElementById('search').dispatchEvent(new Event('input'))")
    assert browser.run("[...document.querySelectorAll('.job')].filter((e) => !e.hidden).length") == 1
    browser.click(".job:not([hidden]) [data-does=delete]")
    browser.wait_for("document.querySelectorAll('.job').length === 3")
    assert "broken" not in json.dumps([job["title"] for job in server.client.jobs()])
    assert browser.complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_an_upload_shows_how_far_it_is_and_can_be_stopped(
    browser: Browser, server: Server, tmp_path: Path, width: int
) -> None:
    open_page(browser, server, width)
    large = tmp_path / "large.nii"
    large.write_bytes(bytes(4_000_000))
    choose(browser, large)
    browser.slow(bytes_a_second=200_000)
    try:
        browser.click("#go")
        browser.wait_for("/^Sending: .* of 4.0 MB/.test(document.getElementById('upload-said').textContent)")
        assert browser.run("document.getElementById('go').disabled")
        shot(browser, "7-uploading", width)
        browser.click("#stop-upload")
        browser.wait_for("document.getElementById('upload').hidden")
    finally:
        browser.slow(bytes_a_second=-1)
    assert list(server.client.jobs()) == []
    assert not browser.run("document.getElementById('go').disabled")


def test_everything_can_be_done_by_keyboard(browser: Browser, server: Server, tmp_path: Path) -> None:
    open_page(browser, server)
    reached: list[str] = []
    choose(browser, scan(tmp_path))
    server.client.wait(server.client.send(scan(tmp_path, "b.npy", 1))["id"], 240)
    browser.wait_for("document.querySelector('[data-does=report]') !== null")
    for _ in range(16):
        browser.key("Tab")
        reached.append(
            browser.run(
                "(e => e.id || e.dataset.does || e.name || e.pathname?.split('/').pop() || e.tagName)"
                "(document.activeElement)"
            )
        )
    for wanted in (
        "choose-files",
        "choose-folder",
        "how",
        "SUMMARY",
        "go",
        "search",
        "report",
        "result",
        "residual",
        "delete",
    ):
        assert wanted in reached, (wanted, reached)
    browser.run("document.querySelector('[data-does=report]').focus()")
    browser.key("Enter")
    browser.wait_for("document.querySelector('iframe') !== null")
    browser.key("Enter")
    assert browser.run("document.querySelector('iframe')") is None
    browser.run("document.getElementById('go').focus()")
    browser.key("Enter")
    browser.wait_for("document.querySelectorAll('.job').length === 2")
    named = browser.run(
        "[...document.querySelectorAll('input:not([hidden]), select, button, progress')].filter((e) => "
        "e.checkVisibility() && !(e.labels?.length || e.textContent.trim() || "
        "e.getAttribute('aria-label'))).length"
    )
    assert named == 0


def test_hostile_names_run_nothing(browser: Browser, server: Server, tmp_path: Path) -> None:
    name = HOSTILE.replace("/", "")
    job = server.client.send(scan(tmp_path, name), report=True)
    open_page(browser, server)
    server.client.wait(job["id"], 240)
    browser.wait_for("document.querySelector('[data-does=report]') !== null")
    browser.click("[data-does=report]")
    browser.wait(1.0)
    assert browser.run("document.title") == "DiffDenoise"
    assert browser.run("document.querySelectorAll('main img').length") == 0
    assert "DROP TABLE" in text(browser, "h3")
    assert browser.complaints == []


def test_dropped_folders_are_sent_with_their_names(browser: Browser, server: Server, tmp_path: Path) -> None:
    open_page(browser, server)
    browser.run(
        "choose([[new File(['x'], 'a.npy'), 'study/a/a.npy'], [new File(['y'], '.DS_Store'), "
        "'study/.DS_Store'], [new File(['z'], 'b.npy'), 'study/b/b.npy']])"
    )
    assert text(browser, "#chosen") == "study: 2 files, 1 kB"
    browser.click("#go")
    browser.wait_for("document.querySelectorAll('.job').length === 1")
    (job,) = server.client.jobs()
    assert (job["title"], job["files"]) == ("study", 2)


def test_too_much_is_said_before_it_is_sent(browser: Browser, server: Server) -> None:
    open_page(browser, server)
    browser.run("info.upload_bytes = 10; choose([[new File(['more than ten bytes'], 'a.npy'), 'a.npy']])")
    assert "the server takes" in text(browser, "#send-problem")
    assert browser.run("document.getElementById('go').disabled")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_server_with_a_token_asks_for_it(browser: Browser, tmp_path: Path, width: int) -> None:
    # Cookies of an address are those of all its ports.
    token = f"{TOKEN}-{width}"
    (tmp_path / "token").write_text(token)
    server = Server(tmp_path / "data", "--token-file", str(tmp_path / "token"), token=token)
    try:
        browser.visit(f"{server.address}/", width)
        browser.wait_for("document.getElementById('sign-in').checkVisibility()")
        assert not browser.run("document.getElementById('inside').checkVisibility()")
        browser.run("document.getElementById('token').value = 'wrong'")
        browser.click("#sign-in button")
        browser.wait_for("document.getElementById('sign-in-problem').checkVisibility()")
        shot(browser, "8-token", width)
        browser.run(f"document.getElementById('token').value = '{token}'")
        browser.click("#sign-in button")
        browser.wait_for(READY)
        assert browser.run("document.cookie") == ""
        server.client.send(scan(tmp_path), report=False)
        browser.wait_for("document.querySelectorAll('.job').length === 1")
        # The address of no request holds it.
        assert not [each for each in browser.requests if token in each]
    finally:
        server.stop()
    browser.wait_for("document.getElementById('lost').checkVisibility()")
    shot(browser, "9-lost", width)
