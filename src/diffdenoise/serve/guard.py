"""Who may ask: the token, the name that the server is called by, pages of others; headers of all answers."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diffdenoise.serve.options import is_local
from diffdenoise.serve.problems import answer
from diffdenoise.work.logged import log

COOKIE = "diffdenoise"
#: Asked for without a token: that the server is alive, and the page that asks for the token.
_OPEN = (
    "/",
    "/static/app.js",
    "/static/app.css",
    "/static/icon.svg",
    "/healthz",
    "/readyz",
    "/api/v1/session",
)
_SAFE = ("GET", "HEAD", "OPTIONS")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def session_of(token: str) -> str:
    """Return what a browser that told the token is known by: the token cannot be told from it."""
    return hmac.new(token.encode(), b"diffdenoise session", hashlib.sha256).hexdigest()


def is_same(given: str, expected: str) -> bool:
    """Compare secrets in a time that says nothing of where they differ."""
    return hmac.compare_digest(given.encode(), expected.encode())


class Guard:
    """Refuses requests before anything else sees them.

    Parameters
    ----------
    app : ASGI application
        What it guards.
    token : str or None
        What callers must know.
    names : sequence of str
        Host names that it may be called by, beside this computer's own; with a token, any.
    """

    def __init__(self, app: ASGIApp, token: str | None, names: Sequence[str] = ()) -> None:
        self._app, self._token, self._names = app, token, tuple(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        refused = self._refused(scope) if scope["type"] == "http" else None
        if refused is None:
            await self._app(scope, receive, send)
            return
        status, why = refused
        headers = {"WWW-Authenticate": 'Bearer realm="diffdenoise"'} if status == 401 else None
        await answer(status, why, headers)(scope, receive, send)

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        # Another's page may have its name lead here (DNS rebinding), and then reads what it likes.
        if self._token is None and not self._is_ours(host):
            return 421, "the server isn't called by this name; add it to names in its configuration"
        origin = headers.get("origin")
        if scope["method"] not in _SAFE and origin is not None and urlsplit(origin).netloc != host:
            return 403, "a page of another server may not ask this"
        if self._token is not None and scope["path"] not in _OPEN and not self._is_known(headers):
            return 401, "the token is missing or wrong; send it as 'Authorization: Bearer TOKEN'"
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return is_local(name) or name in self._names

    def _is_known(self, headers: Headers) -> bool:
        token = self._token or ""
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return is_same(given.strip(), token)
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and is_same(cookie.value, session_of(token))


class Told:
    """Adds headers to every answer, and writes a line for it: no path, which may hold anything.

    Parameters
    ----------
    app : ASGI application
        What answers.
    count : callable
        Told method, route and status of each answer, and the seconds it took.
    """

    def __init__(self, app: ASGIApp, count: Callable[[str, str, int, float], None]) -> None:
        self._app, self._count = app, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, told)
        finally:
            seconds = time.monotonic() - began
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in (*_SAFE, "POST", "DELETE") else "other"
            self._count(method, route, status, seconds)
            job = scope.get("path_params", {}).get("id") if status < 400 else None
            log("request", method=method, route=route, status=status, ms=round(1000 * seconds, 1), job=job)
