"""The server says what it is, whether it can work, and its figures."""

from __future__ import annotations

import pytest

from diffdenoise._version import __version__
from diffdenoise.errors import ModelError
from tests.serve.conftest import BASE, House, scan


def test_info_says_version_and_limits(house: House) -> None:
    told = house.client.get("/api/v1/info").json()
    assert told["version"] == __version__
    assert told["upload_bytes"] == 4096e6
    assert any(".nii.gz" in each["suffixes"] for each in told["formats"])
    assert not told["needs_token"]


def test_models_are_the_packages_and_the_servers_own_and_can_be_named(house: House) -> None:
    folder = house.options.folder / "models"
    (folder / "spine").mkdir()
    (folder / "spine" / "settings.yaml").touch()
    (folder / "no model").mkdir()
    names = [each["name"] for each in house.client.get("/api/v1/models").json()["models"]]
    assert names == ["general", "magnitude", "spine"]
    assert house.send(model="spine").status_code == 202
    outside = house.folder / "outside"
    outside.mkdir()
    (outside / "settings.yaml").touch()
    for path in ("../../outside", str(outside), f"spine/../../../{outside.name}"):
        assert house.send(model=path).status_code == 422, path
    refused = house.send(model="knee")
    assert "general, magnitude, spine" in refused.json()["detail"]


def test_ready_means_that_jobs_are_done(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert house.client.get("/healthz").json() == {"status": "ok"}
    answer = house.client.get("/readyz")
    assert answer.json() == {
        "status": "ok",
        "checks": {"model": "ok", "disk": "ok", "queue": "ok", "workers": "ok"},
    }
    house.shop.alive = lambda: 0

    def damaged(file: str) -> bytes:
        raise ModelError("damaged")

    monkeypatch.setattr("diffdenoise.serve.facts.read_shipped", damaged)
    house.shop.queue.path.unlink()
    house.shop.queue.path.mkdir()
    answer = house.client.get("/readyz")
    assert answer.status_code == 503
    checks = {
        "model": "failed (ModelError)",
        "disk": "ok",
        "queue": "failed (QueueError)",
        "workers": "none runs",
    }
    assert answer.json()["checks"] == checks
    assert house.client.get("/healthz").status_code == 200


def test_figures_count_jobs_and_answers(house: House) -> None:
    house.send()
    house.send(("b.npy", scan(1)))
    house.client.delete(house.send(("c.npy", scan(2))).headers["location"])
    house.client.get(f"{BASE}/{'0' * 32}")
    text = house.client.get("/metrics").text
    assert 'diffdenoise_jobs{state="queued"} 2.0' in text
    assert 'diffdenoise_jobs{state="cancelled"} 1.0' in text
    assert 'diffdenoise_requests_total{method="POST",route="/api/v1/jobs",status="202"} 3.0' in text
    assert 'route="/api/v1/jobs/{id}",status="404"} 1.0' in text
    assert "diffdenoise_disk_free_bytes" in text
    assert "diffdenoise_workers 1.0" in text


def test_what_is_not_there_is_a_problem(house: House) -> None:
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", "/static/../app.py", 404),
        ("GET", "/static/%2e%2e%2fapp.py", 404),
        ("PUT", BASE, 405),
        ("GET", f"{BASE}/{'0' * 32}", 404),
        ("GET", f"{BASE}/..%2f..%2fqueue.sqlite", 404),
        ("GET", f"{BASE}/x'; DROP TABLE jobs; --", 422),
        ("GET", f"{BASE}?limit=0", 422),
        ("GET", f"{BASE}?before={2**64}", 422),
        ("GET", f"{BASE}?state=lost", 422),
    ):
        answer = house.client.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), (
            path
        )
        assert answer.json()["status"] == status


def test_openapi_names_every_door_and_its_problems(house: House) -> None:
    tree = house.client.get("/api/v1/openapi.json").json()
    doors = {"", "/{id}", "/{id}/events", "/{id}/result", "/{id}/residual", "/{id}/report"}
    assert {f"{BASE}{door}" for door in doors} | {"/api/v1/info", "/api/v1/models", "/metrics"} <= set(
        tree["paths"]
    )
    sent = tree["paths"][BASE]["post"]
    properties = sent["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert set(properties) == {"files", "minutes", "model", "strength", "seed", "report"}
    assert {"202", "413", "422", "507"} <= set(sent["responses"])
    assert set(sent["responses"]["507"]["content"]) == {"application/problem+json"}
