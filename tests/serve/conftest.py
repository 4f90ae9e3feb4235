"""A server's application in this process, with a worker that works when it is told to."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

from fastapi import FastAPI
from starlette.testclient import TestClient

from diffdenoise.serve.app import make_app
from diffdenoise.serve.options import Options
from diffdenoise.serve.shop import Shop
from diffdenoise.work.queue_worker import Worker
from tests.conftest import make_volume

BASE = "/api/v1/jobs"


def scan(seed: int = 0, std: float = 60) -> bytes:
    """A small noisy volume, as a file."""
    stream = io.BytesIO()
    np.save(stream, make_volume((40, 36, 5), seed, std))
    return stream.getvalue()


class House:
    """An application, whoever asks it, and its worker."""

    def __init__(self, folder: Path, **told: Any) -> None:
        self.folder = folder
        self.options = replace(Options(data=folder / "data", least_free_mb=0), **told)
        self.app: FastAPI = make_app(self.options)
        self.shop: Shop = self.app.state.shop
        self.client = TestClient(self.app, "http://localhost", raise_server_exceptions=False)

    def send(self, *files: tuple[str, bytes], headers: dict[str, str] | None = None, **fields: Any) -> Any:
        """Send files with options; return the answer."""
        parts = [("files", (name, content)) for name, content in files or [("scan.npy", scan())]]
        return self.client.post(BASE, files=parts, data=fields, headers=headers or {})

    def work(self) -> None:
        """Do all that waits."""
        worker = Worker(self.shop.spool, "w", threads=1)
        while (job := self.shop.queue.claim("w")) is not None:
            worker.take(job)

    def done(self, *files: tuple[str, bytes], **fields: Any) -> dict[str, Any]:
        """Send and work; return the job."""
        answer = self.send(*files, **fields)
        assert answer.status_code == 202, answer.text
        self.work()
        found: dict[str, Any] = self.client.get(answer.headers["location"]).json()
        return found

    def kept(self) -> list[str]:
        """Files below the folders of jobs."""
        data = self.options.folder
        places = [each for name in ("jobs", "incoming") for each in (data / name).rglob("*")]
        return sorted(each.relative_to(data).as_posix() for each in places if each.is_file())


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[House, dict[str, Any]]:
    """A house with one job that is done, report and all."""
    made = House(tmp_path_factory.mktemp("finished"))
    return made, made.done()
