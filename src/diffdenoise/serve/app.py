"""The server as one application: the API, the page, and who guards them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from diffdenoise._version import __version__
from diffdenoise.errors import DiffDenoiseError
from diffdenoise.serve import events, facts, jobs, problems
from diffdenoise.serve import files as results
from diffdenoise.serve.guard import COOKIE, Guard, Told, is_same, session_of
from diffdenoise.serve.options import Options
from diffdenoise.serve.shop import Shop
from diffdenoise.work.logged import log, place_of
from diffdenoise.work.queue import Queue
from diffdenoise.work.spool import Spool

#: Seconds between clearings.
_SWEEP_S = 600.0
_ASSETS = {
    "app.js": "text/javascript; charset=utf-8",
    "app.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def make_app(options: Options, alive: Callable[[], int] = lambda: 1) -> FastAPI:
    """Return the application of a data folder.

    Parameters
    ----------
    options : Options
        As told.
    alive : callable
        How many workers run.

    Raises
    ------
    SettingsError
        If others could reach it without a token.
    """
    token = options.token()
    spool = Spool(options.folder)
    shop = Shop(options, spool, Queue(spool.queue), alive)
    figures = facts.Figures(shop)

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        shop.is_ending = asyncio.Event()
        task = asyncio.create_task(_sweep(shop))
        yield
        task.cancel()

    app = FastAPI(
        title="DiffDenoise",
        version=__version__,
        lifespan=living,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.shop = shop
    problems.install(app)
    for router in (jobs.routes(shop), events.routes(shop), results.routes(shop), facts.routes(shop)):
        app.include_router(router)
    app.include_router(facts.health_routes(shop, figures))
    _pages(app, token)
    _describe(app)
    # The outermost is added last.
    app.add_middleware(Guard, token=token, names=(options.host, *options.names))
    app.add_middleware(Told, count=figures.count)
    return app


async def _sweep(shop: Shop) -> None:
    """Clear up, now and then."""
    while True:
        try:
            await run_in_threadpool(shop.sweep)
        except (DiffDenoiseError, OSError) as error:
            log("clearing failed", error=place_of(error))
        await asyncio.sleep(_SWEEP_S)


def _pages(app: FastAPI, token: str | None) -> None:
    """Add the page, what it is made of, and where browsers tell the token."""
    folder = files("diffdenoise.serve") / "static"
    page = (folder / "index.html").read_bytes()
    assets = {name: (folder / name).read_bytes() for name in _ASSETS}

    @app.get("/", include_in_schema=False)
    def _page() -> Response:
        return Response(page, media_type="text/html; charset=utf-8")

    @app.get("/static/{name}", include_in_schema=False)
    def _asset(name: str) -> Response:
        if name not in assets:
            return problems.answer(404, "there is nothing here")
        return Response(assets[name], media_type=_ASSETS[name])

    @app.post("/api/v1/session", include_in_schema=False)
    def _session(request: Request, given: Annotated[str, Form(alias="token", max_length=1024)]) -> Response:
        if token is None or not is_same(given.strip(), token):
            return problems.answer(401, "the token is wrong")
        response = Response(status_code=204)
        is_safe = request.url.scheme == "https"
        response.set_cookie(COOKIE, session_of(token), httponly=True, samesite="strict", secure=is_safe)
        return response


def _describe(app: FastAPI) -> None:
    """Let OpenAPI say of problems what they look like."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            tree = get_openapi(title=app.title, version=app.version, routes=app.routes)
            schemas = tree.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = _PROBLEM
            schemes = {"token": {"type": "http", "scheme": "bearer"}}
            tree["components"]["securitySchemes"] = schemes
            tree["security"] = [{}, {"token": []}]
            app.openapi_schema = tree
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
