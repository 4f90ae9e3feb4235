"""Start a server, and end it in order."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from diffdenoise.errors import DiskFullError, SettingsError, option
from diffdenoise.lock import locked
from diffdenoise.serve.app import make_app
from diffdenoise.serve.options import Options
from diffdenoise.serve.workers import Workers
from diffdenoise.threads import usual_threads
from diffdenoise.work.logged import log
from diffdenoise.work.spool import Spool

#: Seconds that answers may take after the server was told to end.
_LEAVE_S = 5
_LOCK = "serve.lock"


class _Lines(logging.Handler):
    """Puts a library's words into lines of ours: its kind only, as its text may quote a request."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0] if record.exc_info else None
        log(
            "library",
            name=record.name,
            level=record.levelname,
            error=None if error is None else error.__name__,
        )


class _Server(uvicorn.Server):
    """A server that says when it listens, and ends its streams before it waits for them."""

    def __init__(
        self, config: uvicorn.Config, started: Callable[[], None], ending: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._told, self._ending = started, ending

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Have signals end the server, and not, once more, the process: workers are to be told first."""
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._told()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending()
        await super().shutdown(sockets)


def serve(options: Options, say: Callable[[str], None]) -> None:
    """Serve until told to end.

    Parameters
    ----------
    options : Options
        As told.
    say : callable
        Told the address, once the server answers there.

    Raises
    ------
    DiffDenoiseError
        If it can't begin: no token, no folder, another server there, or the port is taken.
    """
    options.token()
    try:
        spool = Spool(options.folder)
    except OSError as error:
        kind = DiskFullError if error.errno == 28 else SettingsError
        raise kind(
            f"{options.folder}: cannot be written ({error.strerror}); choose another folder by "
            f"{option('data', 'DIR')}"
        ) from error
    with locked(spool.data / _LOCK, spool.data):
        listening = _listen(options)
        try:
            _serve(options, spool, listening, say)
        finally:
            listening.close()


def _serve(options: Options, spool: Spool, listening: socket.socket, say: Callable[[str], None]) -> None:
    workers = Workers(spool, options.workers, options.threads or max(1, usual_threads() // options.workers))
    app = make_app(options, workers.alive)
    logging.getLogger("uvicorn").handlers = [_Lines(logging.WARNING)]
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_LEAVE_S,
        # A name or an address that a proxy tells is believed of nobody.
        proxy_headers=False,
    )
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{port}"

    def ending() -> None:
        if app.state.shop.is_ending is not None:
            app.state.shop.is_ending.set()

    workers.start()
    log("server started", version=app.version, workers=options.workers, pid=os.getpid())
    try:
        _Server(config, lambda: say(address), ending).run([listening])
    finally:
        workers.stop()
        log("server ended")


def _listen(options: Options) -> socket.socket:
    """Return the socket that the server listens at."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
        if os.name != "nt":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(128)
    except OSError as error:
        raise SettingsError(
            f"{options.host} port {options.port}: cannot be listened at ({error.strerror}); choose another "
            f"by {option('port', 'NUMBER')}"
        ) from error
    return found
