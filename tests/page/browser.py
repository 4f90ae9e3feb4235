"""Chromium without a window, driven by the DevTools protocol over two pipes: no port, no other package."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

#: Names that the browser has.
_NAMES = ("chromium", "chromium-browser", "google-chrome")
#: Seconds that the browser may take to answer on a busy machine.
_PATIENCE_S = 180.0
#: What the reader sees.
_SAID = "document.body.innerText.slice(0, 2000)"

PROGRAM = next((found for name in _NAMES if (found := shutil.which(name))), None)
WHY_NOT = "there is no Chromium here (Debian: apt-get install chromium)"


class Browser:
    """One browser with one page, and all that it complained about or asked for."""

    def __init__(self, profile: Path) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        command = [
            str(PROGRAM),
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--no-first-run", "--disable-component-update", "--disable-background-networking"),
            *("--remote-debugging-pipe", "--hide-scrollbars", f"--user-data-dir={profile}"),
            "about:blank",
        ]
        # The browser reads at 3 and writes at 4.
        script = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, *command],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out, self._held, self._number = ours_in, ours_out, b"", 0
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._loaded = False
        pages = self._send("Target.getTargets")["targetInfos"]
        target = next(page["targetId"] for page in pages if page["type"] == "page")
        self._session: str | None = None
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")

    def open(
        self,
        path: Path,
        width: int = 1280,
        height: int = 900,
        *,
        is_dark: bool = False,
        is_still: bool = False,
        is_on_paper: bool = False,
        runs_scripts: bool = True,
    ) -> None:
        """Open a file as a reader would who has such a screen and such wishes."""
        address = path.resolve().as_uri()
        self.visit(
            address,
            width,
            height,
            is_dark=is_dark,
            is_still=is_still,
            runs_scripts=runs_scripts,
            is_on_paper=is_on_paper,
        )

    def visit(
        self,
        address: str,
        width: int = 1280,
        height: int = 900,
        *,
        is_dark: bool = False,
        is_still: bool = False,
        runs_scripts: bool = True,
        is_on_paper: bool = False,
    ) -> None:
        """Open an address; see `open`."""
        self.complaints, self.requests, self._loaded = [], [], False
        self._send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        wishes = {
            "prefers-color-scheme": "dark" if is_dark else "light",
            "prefers-reduced-motion": "reduce" if is_still else "no-preference",
        }
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        media = "print" if is_on_paper else ""
        self._send("Emulation.setEmulatedMedia", media=media, features=features)
        self._send("Emulation.setScriptExecutionDisabled", value=not runs_scripts)
        self._send("Page.navigate", url=address)
        while not self._loaded:
            self._take(self._receive())
        if runs_scripts:
            self.settle()

    def run(self, code: str) -> Any:
        """Return what an expression gives; promises are waited for."""
        done = self._send("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise AssertionError(f"{code}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def wait_for(self, code: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + _PATIENCE_S
        while not self.run(code):
            if time.monotonic() > end:
                raise AssertionError(f"never true: {code}; the page says: {self.run(_SAID)}")

    def wait(self, seconds: float) -> None:
        """Give the page time that nothing of it tells the end of."""
        self.run(f"new Promise((done) => setTimeout(() => done(1), {1000 * seconds}))")

    def choose(self, selector: str, *paths: Path) -> None:
        """Choose files in a field for files, as its dialog would."""
        found = self._send("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")
        self._send(
            "DOM.setFileInputFiles", files=[str(path) for path in paths], objectId=found["result"]["objectId"]
        )

    def slow(self, *, bytes_a_second: float) -> None:
        """Send and receive so slowly from now on; -1: as fast as can be."""
        rates = {"downloadThroughput": -1, "uploadThroughput": bytes_a_second}
        self._send("Network.emulateNetworkConditions", offline=False, latency=0, **rates)

    def key(self, key: str, *, shift: bool = False) -> None:
        """Press a key, as the reader's keyboard would."""
        told: dict[str, Any] = {"key": key, "code": key, "modifiers": 8 if shift else 0}
        codes = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9, "Enter": 13}
        if len(key) == 1:
            told["text"] = key
        if key == "Enter":
            told["text"] = "\r"
        code = codes.get(key, ord(key.upper()[0]))
        self._send("Input.dispatchKeyEvent", type="keyDown", windowsVirtualKeyCode=code, **told)
        told.pop("text", None)
        self._send("Input.dispatchKeyEvent", type="keyUp", windowsVirtualKeyCode=code, **told)
        self.settle()

    def drag(self, start: tuple[float, float], end: tuple[float, float], button: str = "left") -> None:
        """Press a mouse button at one place of the window and let go at another."""
        mask = {"left": 1, "right": 2, "middle": 4}[button]
        for kind, (x, y), held in (
            ("mousePressed", start, mask),
            ("mouseMoved", end, mask),
            ("mouseReleased", end, 0),
        ):
            self._send(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=held, clickCount=1
            )
        self.settle()

    def click(self, selector: str) -> None:
        """Click into the middle of an element."""
        middle = (
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center', behavior: 'instant'}); const b = e.getBoundingClientRect(); "
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        x, y = self.run(middle)
        self.drag((x, y), (x, y))

    def wheel(self, x: float, y: float, down: float, *, ctrl: bool = False) -> None:
        """Turn the mouse wheel."""
        self._send(
            "Input.dispatchMouseEvent",
            type="mouseWheel",
            x=x,
            y=y,
            deltaX=0,
            deltaY=down,
            modifiers=2 if ctrl else 0,
        )
        self.settle()

    def screenshot(self, path: Path, *, is_whole: bool = True) -> None:
        """Save what is seen, or the whole page, as PNG."""
        done = self._send("Page.captureScreenshot", format="png", captureBeyondViewport=is_whole)
        path.write_bytes(base64.b64decode(done["data"]))

    def print(self) -> bytes:
        """Return the page as PDF, A4."""
        done = self._send("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True)
        return base64.b64decode(done["data"])

    def close(self) -> None:
        """End the browser."""
        self._session = None
        self._send("Browser.close")
        self._process.wait(_PATIENCE_S)
        os.close(self._in)
        os.close(self._out)

    def _send(self, method: str, **given: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": given}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                found: dict[str, Any] = answer["result"]
                return found
            self._take(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._held:
            if not select.select([self._in], [], [], _PATIENCE_S)[0]:
                raise AssertionError("the browser does not answer")
            more = os.read(self._in, 2**20)
            if not more:
                raise AssertionError("the browser has ended")
            self._held += more
        first, _, self._held = self._held.partition(b"\0")
        found: dict[str, Any] = json.loads(first)
        return found

    def _take(self, event: dict[str, Any]) -> None:
        """Note what the page did."""
        method, given = event.get("method"), event.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(given["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning", "assert"):
            self.complaints.append(str(given["args"]))
        elif method == "Log.entryAdded" and given["entry"]["level"] in ("error", "warning"):
            self.complaints.append(given["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])
