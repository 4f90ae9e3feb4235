"""Ask a server from Python: `Client("http://127.0.0.1:8600").send("scan.nii.gz")`."""

from __future__ import annotations

import http.client
import json
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from diffdenoise.errors import DiffDenoiseError, InputError, OutputError, option
from diffdenoise.scan.atomic import atomic_path

#: Bytes sent and read at once.
_CHUNK = 2**18
#: Seconds between looks at a job.
_LOOK_S = 0.5
_BASE = "/api/v1"


class ServerError(DiffDenoiseError):
    """The server refused, failed, or can't be reached.

    Attributes
    ----------
    status : int or None
        Of HTTP; None: there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """A server that denoises.

    Parameters
    ----------
    address : str
        Such as "http://127.0.0.1:8600".
    token : str, optional
        If the server asks for one.
    timeout_s : float
        Seconds that it may be silent for.
    """

    def __init__(self, address: str, token: str | None = None, timeout_s: float = 60.0) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError("address: expected one such as http://127.0.0.1:8600")
        self._scheme, self._place, self._prefix = parts.scheme, parts.netloc, parts.path.rstrip("/")
        self._token, self._timeout_s = token, timeout_s

    def send(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        key: str | None = None,
        **options: float | int | str | bool | None,
    ) -> dict[str, Any]:
        """Send scans; return the job.

        Parameters
        ----------
        paths : path or sequence of path
            Files, or folders of which all files are sent.
        key : str, optional
            Of the request: sent again under it, it is the same job. None: one is drawn.
        **options
            minutes, model, strength, seed, report; None: not given.
        """
        files = _files([paths] if isinstance(paths, str | Path) else paths)
        boundary = secrets.token_hex(16)
        given = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in options.items()
            if value is not None
        }
        heads = [
            _head(boundary, f'name="{name}"') + value.encode() + b"\r\n" for name, value in given.items()
        ]
        parts = [(_head(boundary, f'name="files"; filename="{_quoted(name)}"'), path) for name, path in files]
        tail = f"--{boundary}--\r\n".encode()
        length = (
            sum(map(len, heads))
            + sum(len(head) + path.stat().st_size + 2 for head, path in parts)
            + len(tail)
        )
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(length),
            "Idempotency-Key": key or secrets.token_hex(16),
        }
        return self._json("POST", "/jobs", body=_body(heads, parts, tail), headers=headers)

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job as it is now."""
        return self._json("GET", f"/jobs/{job_id}")

    def jobs(self, **query: str | int) -> Iterator[dict[str, Any]]:
        """Yield all jobs, newest first."""
        path: str | None = f"/jobs?{urlencode(query)}"
        while path:
            page = self._json("GET", path)
            yield from page["jobs"]
            path = page["next"] and page["next"].removeprefix(_BASE)

    def wait(self, job_id: str, timeout_s: float | None = None) -> dict[str, Any]:
        """Return a job once it has ended.

        Raises
        ------
        ServerError
            If it failed, was cancelled, or takes longer.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            job = self.job(job_id)
            if job["state"] == "done":
                return job
            if job["state"] in ("failed", "cancelled"):
                reason = job["error"]["detail"] if job["error"] else "it was cancelled"
                raise ServerError(f"job {job_id}: {reason}")
            if end is not None and time.monotonic() > end:
                raise ServerError(f"job {job_id}: is {job['state']} after {timeout_s:g} s; wait longer")
            time.sleep(_LOOK_S)

    def save(self, job_id: str, path: str | Path, kind: str = "result", *, overwrite: bool = False) -> Path:
        """Write what came of a job, whole or not at all.

        Parameters
        ----------
        job_id : str
            Of the job.
        path : str or path
            File to write; of several scans it is a zip.
        kind : str
            "result", "residual" or "report".
        overwrite : bool
            Replace a file that is there.
        """
        path = Path(path)
        if path.exists() and not overwrite:
            raise OutputError(f"{path}: exists already; choose another name or use {option('overwrite')}")
        with (
            self._asked("GET", f"/jobs/{job_id}/{kind}") as response,
            atomic_path(path) as part,
            part.open("wb") as file,
        ):
            while piece := response.read(_CHUNK):
                file.write(piece)
        return path

    def delete(self, job_id: str) -> None:
        """Cancel a job that has not ended, or delete one that has."""
        with self._asked("DELETE", f"/jobs/{job_id}") as response:
            response.read()

    def models(self) -> list[dict[str, Any]]:
        """Return the models that a job may name."""
        found: list[dict[str, Any]] = self._json("GET", "/models")["models"]
        return found

    def info(self) -> dict[str, Any]:
        """Return what the server says of itself."""
        return self._json("GET", "/info")

    def _json(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        with self._asked(method, path, **given) as response:
            found: dict[str, Any] = json.loads(response.read())
        return found

    @contextmanager
    def _asked(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        kind = http.client.HTTPSConnection if self._scheme == "https" else http.client.HTTPConnection
        connection = kind(self._place, timeout=self._timeout_s)
        headers = dict(headers or {})
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            # It may have said why before it stopped listening.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, f"{self._prefix}{_BASE}{path}", body, headers)
            response = connection.getresponse()
            if response.status >= 400:
                raise ServerError(_detail(response), response.status)
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(
                f"the server at {self._place} does not answer ({type(error).__name__}); is it running?"
            ) from error
        finally:
            connection.close()


def _detail(response: http.client.HTTPResponse) -> str:
    """What the server says went wrong."""
    try:
        return str(json.loads(response.read(2**16))["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the server says {response.status}"


def _files(paths: Sequence[str | Path]) -> list[tuple[str, Path]]:
    """Return files with the names that they are sent under; hidden ones are left out."""
    found = []
    for given in map(Path, paths):
        if given.is_dir():
            below = [
                each for each in sorted(given.rglob("*")) if each.is_file() and not each.name.startswith(".")
            ]
            found += [
                (f"{given.resolve().name}/{each.relative_to(given).as_posix()}", each) for each in below
            ]
        elif given.is_file():
            found.append((given.name, given))
        else:
            raise InputError(f"{given}: no such file or folder; check the name")
    if not found:
        raise InputError("there is no file to send; check the folder")
    return found


def _head(boundary: str, disposition: str) -> bytes:
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode("utf-8", "replace")


def _quoted(name: str) -> str:
    """Return a name as browsers send it (HTML, multipart/form-data encoding)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _body(heads: Sequence[bytes], parts: Sequence[tuple[bytes, Path]], tail: bytes) -> Iterator[bytes]:
    yield from heads
    for head, path in parts:
        yield head
        with path.open("rb") as stream:
            while piece := stream.read(_CHUNK):
                yield piece
        yield b"\r\n"
    yield tail
