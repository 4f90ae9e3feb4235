"""`/api/v1/jobs`: send, list, look, cancel and delete."""

from __future__ import annotations

import shutil
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from diffdenoise.errors import SettingsError
from diffdenoise.serve.problems import Problem, documented
from diffdenoise.serve.shop import Shop, shown
from diffdenoise.serve.upload import FILES, receive
from diffdenoise.work.queue import new_id
from diffdenoise.work.wish import Wish

#: A job's name in an address; all others are refused before they are looked for.
Id = Annotated[str, Path(alias="id", pattern="^[0-9a-f]{32}$")]
State = Literal["queued", "running", "done", "failed", "cancelled"]
#: Bytes that a multipart body has beside its files, at most.
_AROUND = 64 * 2**20
_OPTIONS: dict[str, dict[str, Any]] = {
    "minutes": {
        "type": "number",
        "exclusiveMinimum": 0,
        "description": "Learn from the scan first; needs PyTorch",
    },
    "model": {"type": "string", "description": "A name that /models lists"},
    "strength": {"type": "number", "minimum": 0, "maximum": 1, "default": 1},
    "seed": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "default": 0},
    "report": {"type": "boolean", "default": True, "description": "Make a trust report"},
}


def _body(most_minutes: float) -> dict[str, Any]:
    """Return what OpenAPI says of the form."""
    minutes = {**_OPTIONS["minutes"], "maximum": most_minutes}
    files = {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
    schema = {
        "type": "object",
        "required": [FILES],
        "additionalProperties": False,
        "properties": {FILES: files, **_OPTIONS, "minutes": minutes},
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def wish_of(fields: dict[str, str]) -> Wish:
    """Return what the fields of a form ask for; an empty one asks for nothing.

    Raises
    ------
    SettingsError
        If one is unknown, or no value of its kind.
    """
    given: dict[str, Any] = {}
    for name, text in fields.items():
        if name not in _OPTIONS:
            raise SettingsError(f"found an option that is not known; expected some of {', '.join(_OPTIONS)}")
        if text == "":
            continue
        try:
            given[name] = _value(_OPTIONS[name]["type"], text)
        except (KeyError, ValueError, OverflowError) as error:
            raise SettingsError(f"{name}: expected a value of type {_OPTIONS[name]['type']}") from error
    return Wish(**given)


def _value(kind: str, text: str) -> Any:
    if kind == "boolean":
        return {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}[text.lower()]
    return {"number": float, "integer": int, "string": str}[kind](text)


def routes(shop: Shop) -> APIRouter:
    """Return the doors to jobs."""
    router = APIRouter(prefix="/api/v1", tags=["jobs"])

    @router.post(
        "/jobs",
        status_code=202,
        openapi_extra=_body(shop.options.most_minutes),
        responses=documented(400, 401, 403, 413, 415, 422, 503, 507),
    )
    async def send(
        request: Request, key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)] = None
    ) -> Response:
        """Send scans to denoise; the same series and options are one job, however often they are sent."""
        row, is_new = await _send(shop, request, key)
        told = await run_in_threadpool(shown, shop, row)
        return JSONResponse({**told, "is_new": is_new}, 202, {"Location": f"/api/v1/jobs/{row.id}"})

    @router.get("/jobs", responses=documented(401, 422, 503))
    def listed(
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
        state: State | None = None,
    ) -> dict[str, Any]:
        """List jobs, newest first; `next` is the address of the page after this."""
        # Read first: what changes meanwhile is told again, and nothing is left out.
        revision = shop.queue.newest()
        rows = shop.queue.page(limit + 1, before, state)
        places = shop.queue.positions(rows[:limit])
        shown_rows = [shown(shop, row, whole=False, position=places.get(row.id)) for row in rows[:limit]]
        after = None
        if len(rows) > limit:
            after = f"/api/v1/jobs?limit={limit}&before={rows[limit - 1].number}"
            after += f"&state={state}" if state else ""
        return {"jobs": shown_rows, "next": after, "counts": shop.queue.counts(), "revision": revision}

    @router.get("/jobs/{id}", responses=documented(401, 404, 410, 422, 503))
    def one(job_id: Id) -> dict[str, Any]:
        """Tell of a job."""
        return shown(shop, shop.row(job_id))

    @router.delete(
        "/jobs/{id}",
        responses={204: {"description": "Deleted"}, **documented(401, 404, 409, 422, 503)},
    )
    def delete(job_id: Id) -> Response:
        """Cancel a job that waits or runs (200); delete one that has ended, with its results (204)."""
        shop.row(job_id)
        cancelled = shop.queue.cancel(job_id)
        if cancelled is not None:
            return JSONResponse(shown(shop, cancelled))
        if not shop.queue.delete(job_id):
            raise Problem(409, "the job changed meanwhile; try again")
        shop.spool.remove(job_id)
        return Response(status_code=204)

    return router


async def _send(shop: Shop, request: Request, key: str | None) -> tuple[Any, bool]:
    """Receive a job's files and put it into the queue."""
    most = int(shop.options.upload_mb * 1e6)
    told = request.headers.get("content-length", "")
    coming = int(told) if told.isdecimal() and len(told) < 20 else 0
    if coming > most + _AROUND:
        raise Problem(413, "there is more than the server takes for one job; send less, or a smaller scan")
    await run_in_threadpool(shop.check_room, coming)
    job_id = new_id()
    shop.receiving.add(job_id)
    folder = shop.spool.incoming / job_id
    row = None
    try:
        received = await receive(request, folder / "in", most)
        wish = wish_of(received.fields)
        await run_in_threadpool(wish.check, shop.spool.models, shop.options.most_minutes)
        row, is_new = await run_in_threadpool(shop.put, job_id, received.files, received.bytes, wish, key)
        return row, is_new
    finally:
        if row is None or row.id != job_id:
            for each in (folder, shop.spool.folder(job_id)):
                await run_in_threadpool(shutil.rmtree, each, ignore_errors=True)
        shop.receiving.discard(job_id)
