"""What came of a job: its result, residual and trust report."""

from __future__ import annotations

import hashlib
import html
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, cast
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from diffdenoise.serve.jobs import Id
from diffdenoise.serve.problems import Problem, documented
from diffdenoise.serve.shop import Shop
from diffdenoise.work.spool import Manifest

#: Bytes read at once.
_CHUNK = 2**18
#: The same files make the same zip: no member has a time (the first that a zip can hold).
_NO_TIME = (1980, 1, 1, 0, 0, 0)
#: What a report allows itself, in its own head.
_OWN_POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]*)"')
_HEAD = 4096


class _Pipe:
    """A file that is only written to, and read by whoever sends it on."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._at = 0

    def write(self, piece: bytes) -> int:
        self._held += piece
        self._at += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        held, self._held = bytes(self._held), bytearray()
        return held


def zipped(folder: Path, names: list[str]) -> Iterator[bytes]:
    """Yield a zip of files below a folder, a piece at a time."""
    pipe = _Pipe()
    # Images are packed already, or are read at once by whoever gets them.
    with zipfile.ZipFile(cast(IO[bytes], pipe), "w", zipfile.ZIP_STORED) as archive:
        for name in names:
            member = zipfile.ZipInfo(name, _NO_TIME)
            member.external_attr = 0o644 << 16
            with (folder / name).open("rb") as source, archive.open(member, "w", force_zip64=True) as target:
                while piece := source.read(_CHUNK):
                    target.write(piece)
                    yield pipe.take()
    yield pipe.take()


def tag_of(files: dict[str, str]) -> str:
    """Return what stands for files: the same for the same names and contents."""
    return f'"{hashlib.sha256(json.dumps(files).encode()).hexdigest()[:32]}"'


def attached(name: str) -> str:
    """Return the header that has a browser save a file (RFC 6266), whatever its name holds."""
    plain = "".join(sign if (sign.isalnum() and sign.isascii()) or sign in "._-" else "_" for sign in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def answer(request: Request, folder: Path, files: dict[str, str], name: str) -> Response:
    """Return one file as it is, several as a zip of this name."""
    tag = tag_of(files)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if tag in [each.strip() for each in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    names = list(files)
    if len(names) == 1:
        headers["Content-Disposition"] = attached(Path(names[0]).name)
        return FileResponse(folder / names[0], media_type="application/octet-stream", headers=headers)
    headers["Content-Disposition"] = attached(name)
    return StreamingResponse(zipped(folder, names), media_type="application/zip", headers=headers)


def routes(shop: Shop) -> APIRouter:
    """Return the doors to results."""
    router = APIRouter(prefix="/api/v1", tags=["results"])
    told = documented(401, 404, 409, 410, 422, 503)
    file = {"schema": {"type": "string", "format": "binary"}}
    binary = {200: {"content": {"application/octet-stream": file, "application/zip": file}}, **told}

    @router.get("/jobs/{id}/result", response_class=Response, responses=binary)
    def result(request: Request, job_id: Id) -> Response:
        """Return the denoised scan in the format that was sent; several files as a zip."""
        folder, made = shop.made(shop.row(job_id))
        return answer(request, folder / "result", made.result, "denoised.zip")

    @router.get("/jobs/{id}/residual", response_class=Response, responses=binary)
    def residual(request: Request, job_id: Id) -> Response:
        """Return what was taken off: noisy minus denoised values."""
        folder, made = shop.made(shop.row(job_id))
        if not made.residual:
            raise Problem(404, "there is no residual: the scan's format holds no such values")
        return answer(request, folder / "residual", made.residual, "residuals.zip")

    @router.get(
        "/jobs/{id}/report",
        response_class=Response,
        responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}, **told},
    )
    def report(job_id: Id, number: Annotated[int, Query(ge=1, le=10**6)] = 1) -> Response:
        """Return the trust report, a page; of several scans that of a number, from 1."""
        folder, made = shop.made(shop.row(job_id))
        return _page(folder / "report", made, number)

    return router


def _page(folder: Path, made: Manifest, number: int) -> Response:
    pages = [name for name in made.report if name.endswith(".html")]
    if number > len(pages):
        raise Problem(404, "there is no report of this number" if pages else "no report was asked for")
    path = folder / pages[number - 1]
    with path.open(encoding="utf-8") as stream:
        found = _OWN_POLICY.search(stream.read(_HEAD))
    policy = html.unescape(found[1]) if found else "default-src 'none'"
    # Shown inside of the server's own page, it may reach neither that nor the server.
    headers = {
        "Content-Security-Policy": f"{policy}; frame-ancestors 'self'; sandbox allow-scripts allow-modals",
        "X-Frame-Options": "SAMEORIGIN",
        "Cache-Control": "private, no-cache",
    }
    return FileResponse(path, media_type="text/html; charset=utf-8", headers=headers)
