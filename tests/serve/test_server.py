"""The whole as users start it: a server, its workers, a client; each is killed, and nothing is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")

from diffdenoise.errors import OutputError
from diffdenoise.serve.client import Client, ServerError
from diffdenoise.work.queue_table import opened
from tests.conftest import make_volume
from tests.serve.process import PATIENCE_S, Server, until
from tests.work.queue_process import ENVIRONMENT

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    made: list[Server] = []
    yield made
    for each in made:
        if each.process.poll() is None:
            each.stop()


def scans(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    made = [folder / f"{number}.npy" for number in range(count)]
    for number, path in enumerate(made):
        np.save(path, make_volume((40, 36, 5), seed=number))
    return made


def test_a_client_sends_waits_and_saves(tmp_path: Path, servers: list[Server]) -> None:
    (tmp_path / "token").write_text("0123456789abcdef0123")
    server = Server(tmp_path / "data", "--token-file", str(tmp_path / "token"), token="0123456789abcdef0123")
    servers.append(server)
    client = server.client
    with pytest.raises(ServerError, match="token") as refused:
        Client(server.address, "wrong-token-wrong").info()
    assert refused.value.status == 401
    one, two = scans(tmp_path / "in", 2)
    job = client.send(one, strength=0.5, report=False)
    assert client.send(one, strength=0.5, report=False)["id"] == job["id"]
    done = client.wait(job["id"], PATIENCE_S)
    assert done["options"]["strength"] == 0.5
    client.save(job["id"], tmp_path / "out.npy")
    assert np.load(tmp_path / "out.npy").shape == (40, 36, 5)
    with pytest.raises(OutputError, match="exists"):
        client.save(job["id"], tmp_path / "out.npy")
    other = client.send(two, report=True)
    client.wait(other["id"], PATIENCE_S)
    assert "Trust report" in client.save(other["id"], tmp_path / "r.html", "report").read_text()
    bad = tmp_path / "bad.nii"
    bad.write_bytes(b"x")
    with pytest.raises(ServerError, match=r"bad\.nii"):
        client.wait(client.send(bad)["id"], PATIENCE_S)
    assert [each["state"] for each in client.jobs(limit=2)] == ["failed", "done", "done"]
    client.delete(job["id"])
    with pytest.raises(ServerError, match="no job"):
        client.job(job["id"])
    assert client.models()[0]["name"] == "general"
    assert server.stop() == 0
    with pytest.raises(ServerError, match="does not answer"):
        client.info()
    # Whatever was said was JSON, but for the address.
    assert all(json.loads(line)["event"] for line in server.lines if not line.startswith("serving at"))
    assert not [
        line for line in server.lines if ".npy" in line or str(tmp_path) in line.partition("serving")[0]
    ]


def test_nothing_is_lost_or_done_twice_whoever_is_killed(tmp_path: Path, servers: list[Server]) -> None:
    data, draw = tmp_path / "data", random.Random(7)
    paths = scans(tmp_path / "in", 12)
    server = Server(data, workers=2)
    servers.append(server)
    sent: dict[Path, set[str]] = {path: set() for path in paths}

    def send_all() -> None:
        for path in paths * 2:
            while True:
                try:
                    sent[path].add(servers[-1].client.send(path, key=path.name, report=False)["id"])
                    break
                except ServerError:
                    # As any client would, once more.
                    threading.Event().wait(0.05)

    sender = threading.Thread(target=send_all)
    sender.start()
    for turn in range(6):
        threading.Event().wait(draw.uniform(0.3, 1.5))
        if turn % 3 == 2:
            servers[-1].kill()
            servers.append(Server(data, workers=2))
        elif pids := servers[-1].workers():
            # Not the same job twice: it would be set aside.
            with opened(data / "queue.sqlite") as connection:
                worn = connection.execute(
                    "SELECT COUNT(*) FROM jobs WHERE state = 'running' AND attempts > 1"
                )
                is_worn = worn.fetchone()[0] > 0
            if not is_worn:
                os.kill(draw.choice(pids), signal.SIGKILL)
    sender.join()
    client = servers[-1].client
    ids = {path: job_id for path, (job_id,) in sent.items()}
    until(lambda: all(job["state"] not in ("queued", "running") for job in client.jobs()))
    found = list(client.jobs())
    assert sorted(job["id"] for job in found) == sorted(ids.values())
    assert {job["state"] for job in found} == {"done"}, found
    for path, job_id in ids.items():
        folder = data / "jobs" / job_id
        manifests = list(folder.glob("attempt-*/manifest.json"))
        assert len(manifests) == 1
        out = client.save(job_id, tmp_path / f"out-{path.name}")
        assert not np.array_equal(np.load(out), np.load(path))
    servers[-1].client.delete(found[0]["id"])
    assert servers[-1].stop() == 0
    # No worker is left, neither of this server nor of those that were killed.
    until(lambda: not _workers_of(data))


def _workers_of(data: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "queue_worker" in words and str(data) in words:
            found.append(words)
    return found


def test_a_server_that_ends_puts_its_job_back_and_the_next_goes_on(
    tmp_path: Path, servers: list[Server]
) -> None:
    servers.append(Server(tmp_path / "data"))
    (path,) = scans(tmp_path / "in", 1)
    job = servers[0].client.send(path, minutes=5, report=False)
    until(lambda: "stage" in servers[0].client.job(job["id"])["progress"]["stage"])
    assert servers[0].stop() == 0
    servers.append(Server(tmp_path / "data"))
    client = servers[1].client
    until(lambda: client.job(job["id"])["state"] == "running")
    assert client.job(job["id"])["attempts"] == 1
    client.delete(job["id"])
    assert client.job(job["id"])["state"] == "cancelled"


def test_two_servers_do_not_share_a_folder(tmp_path: Path, servers: list[Server]) -> None:
    servers.append(Server(tmp_path / "data"))
    words = [sys.executable, "-m", "diffdenoise", "serve", "--data", str(tmp_path / "data"), "--port", "0"]
    done = subprocess.run(words, capture_output=True, text=True, env=ENVIRONMENT, timeout=PATIENCE_S)
    assert done.returncode == 2
    assert "in use" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "token"),
        (["--port", "70000"], "65535"),
        (["--workers", "0"], "workers 0"),
        (["--config", "none.yaml"], "none.yaml"),
        (["--data", "/proc/none"], "/proc/none"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_two(tmp_path: Path, words: list[str], said: str) -> None:
    command = [sys.executable, "-m", "diffdenoise", "serve", *words]
    environment = {**ENVIRONMENT, "DIFFDENOISE_DATA_DIR": str(tmp_path / "data")}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=PATIENCE_S
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert said in done.stderr


def test_without_the_extra_it_says_how_to_install_it() -> None:
    code = (
        "import sys; sys.modules['fastapi'] = None\n"
        "import importlib.util as u; real = u.find_spec\n"
        "import diffdenoise.packages as p; p.find_spec = lambda n: None if n == 'fastapi' else real(n)\n"
        "from diffdenoise.cli.app import app; app(['serve'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 2
    assert "pip install 'diffdenoise[serve]'" in done.stderr


def test_neither_the_package_nor_the_command_line_loads_the_server() -> None:
    code = "import sys, diffdenoise, diffdenoise.cli.app; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"fastapi", "starlette", "uvicorn", "prometheus_client", "sqlite3"}
    assert "diffdenoise.serve" not in done.stdout.split()
