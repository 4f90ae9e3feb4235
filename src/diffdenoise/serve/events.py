"""Jobs as they change, as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from diffdenoise.serve.jobs import Id
from diffdenoise.serve.problems import documented
from diffdenoise.serve.shop import Shop, shown
from diffdenoise.work.queue_table import QueueError

#: Seconds between looks at the queue, and between signs of life that proxies want.
_LOOK_S, _ALIVE_S = 0.4, 15.0
#: Changes that are told at once.
_MOST = 200


def event(name: str, data: Any) -> str:
    """Return one event; line breaks inside of JSON are escaped."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


async def stream(shop: Shop, look: Callable[[], tuple[list[str], bool]]) -> AsyncIterator[str]:
    """Yield what a look gives, again and again, until it says that this was all."""
    alive = time.monotonic()
    yield "retry: 2000\n\n"
    while shop.is_ending is None or not shop.is_ending.is_set():
        try:
            told, is_all = await run_in_threadpool(look)
        except QueueError:
            told, is_all = [], False
        for each in told:
            alive = time.monotonic()
            yield each
        if is_all:
            return
        if time.monotonic() - alive > _ALIVE_S:
            alive = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(_LOOK_S)


def routes(shop: Shop) -> APIRouter:
    """Return the doors to changes."""
    router = APIRouter(prefix="/api/v1", tags=["events"])
    told: Any = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}
    told |= documented(401, 404, 422, 503)

    @router.get("/jobs/{id}/events", response_class=Response, responses=told)
    def of_one(job_id: Id) -> Response:
        """Tell of a job at each change, until it ends; its place in the queue counts."""
        shop.row(job_id)
        last: list[Any] = [None]

        def look() -> tuple[list[str], bool]:
            row = shop.queue.get(job_id)
            if row is None:
                return [event("gone", {"id": job_id})], True
            state = shown(shop, row)
            is_new, last[0] = state != last[0], state
            return ([event("job", state)] if is_new else []), row.is_ended

        return _answer(stream(shop, look))

    @router.get("/events", response_class=Response, responses=told)
    def of_all(since: Annotated[int | None, Query(ge=0, le=2**53)] = None) -> Response:
        """Tell of all jobs that change."""
        seen = [shop.queue.newest() if since is None else since]

        def look() -> tuple[list[str], bool]:
            rows = shop.queue.changed(seen[0], _MOST)
            if rows:
                seen[0] = rows[-1].revision
            return [event("job", shown(shop, row)) for row in rows], False

        return _answer(stream(shop, look))

    return router


def _answer(pieces: AsyncIterator[str]) -> StreamingResponse:
    # Proxies that hold answers back would hold back progress.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(pieces, media_type="text/event-stream", headers=headers)
