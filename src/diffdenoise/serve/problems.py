"""Errors as RFC 9457 has them: `application/problem+json`, with nothing that was sent but names of fields."""

from __future__ import annotations

import errno
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from diffdenoise.errors import DiffDenoiseError, DiskFullError
from diffdenoise.work.logged import log, place_of
from diffdenoise.work.queue_table import FullError, QueueError

MEDIA = "application/problem+json"
#: Seconds after which a caller may try again.
_RETRY_S = "5"


class Problem(Exception):  # noqa: N818 (what the RFC calls it)
    """Something that the caller is told.

    Parameters
    ----------
    status : int
        Of HTTP.
    detail : str
        What was found, what was expected, what to do.
    """

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


def problem(status: int, detail: str) -> dict[str, Any]:
    """Return the members of a problem."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}


def answer(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return a problem as a response."""
    return JSONResponse(problem(status, detail), status, headers, MEDIA)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of these problems."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA: {"schema": schema}}}
        for status in statuses
    }


def is_full(error: OSError) -> bool:
    """Whether the system says that the disk is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


DISK_FULL = "the server's disk is full; nothing was kept; try again later, or tell whoever runs it"


def install(app: FastAPI) -> None:
    """Have every error of an application answered so."""

    @app.exception_handler(Problem)
    async def _problem(request: Request, error: Problem) -> Response:
        return answer(error.status, error.detail, {k.replace("_", "-"): v for k, v in error.headers.items()})

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        found = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors()[:5])
        return answer(422, found)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        said = {404: "there is nothing here", 405: "this can't be done here"}
        return answer(error.status_code, said.get(error.status_code, "refused"), dict(error.headers or {}))

    @app.exception_handler(DiffDenoiseError)
    async def _ours(request: Request, error: DiffDenoiseError) -> Response:
        if isinstance(error, FullError | DiskFullError):
            return answer(507, DISK_FULL)
        if isinstance(error, QueueError):
            return answer(503, "the queue is busy; try again", {"Retry-After": _RETRY_S})
        return answer(422, str(error))

    @app.exception_handler(OSError)
    async def _system(request: Request, error: OSError) -> Response:
        if is_full(error):
            return answer(507, DISK_FULL)
        return _internal(error)

    @app.exception_handler(Exception)
    async def _any(request: Request, error: Exception) -> Response:
        return _internal(error)


def _internal(error: Exception) -> Response:
    log("internal error", error=place_of(error))
    return answer(500, "a fault in the server; its log says where")
