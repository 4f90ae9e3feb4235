"""Who doesn't know the token gets nothing; no other's page comes in; the log tells of no patient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from diffdenoise.errors import SettingsError
from diffdenoise.serve import guard
from diffdenoise.serve.app import make_app
from diffdenoise.serve.options import Options
from tests.serve.conftest import BASE, House, scan

TOKEN = "correct-horse-battery-staple"
DOORS = [
    "/api/v1/jobs",
    "/api/v1/info",
    "/api/v1/models",
    "/api/v1/events",
    "/api/v1/openapi.json",
    "/metrics",
]


@pytest.fixture
def locked(tmp_path: Path) -> House:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return House(tmp_path, token_file=tmp_path / "token")


@pytest.mark.parametrize("door", [*DOORS, f"{BASE}/{'0' * 32}", f"{BASE}/{'0' * 32}/result"])
@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer \u00e9",
    ],
)
def test_without_the_token_nothing_is_told(locked: House, door: str, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given.encode("latin-1")}
    answer = locked.client.get(door, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


def test_without_the_token_nothing_is_taken(locked: House) -> None:
    assert locked.send().status_code == 401
    assert locked.kept() == []


def test_with_the_token_all_is_as_without_one(locked: House) -> None:
    known = {"Authorization": f"Bearer {TOKEN}"}
    sent = locked.send(headers=known)
    assert sent.status_code == 202
    assert locked.client.get(sent.headers["location"], headers=known).json()["state"] == "queued"


def test_secrets_are_compared_in_constant_time(locked: House, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def noted(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr(guard.hmac, "compare_digest", noted)
    assert locked.client.get("/api/v1/info", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401
    assert compared == [(TOKEN.encode(), TOKEN.encode())]


def test_a_browser_tells_the_token_once_and_its_cookie_does_not_hold_it(locked: House) -> None:
    assert locked.client.post("/api/v1/session", data={"token": "wrong"}).status_code == 401
    answer = locked.client.post("/api/v1/session", data={"token": TOKEN})
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 204
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    assert locked.client.get("/api/v1/info").status_code == 200
    # A new token ends all sessions.
    locked.options.token_file.write_text("another-token-of-this-server")  # type: ignore[union-attr]
    other = make_app(locked.options)
    locked.client.app = other
    locked.client._transport.app = other  # type: ignore[attr-defined]
    assert locked.client.get("/api/v1/info").status_code == 401


def test_the_page_and_health_need_no_token(locked: House) -> None:
    for door in ("/", "/static/app.js", "/static/app.css", "/healthz", "/readyz"):
        assert locked.client.get(door).status_code == 200, door


def test_no_cookie_is_given_where_there_is_no_token(house: House) -> None:
    answer = house.client.post("/api/v1/session", data={"token": ""})
    assert answer.status_code in (401, 422)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:1", "https://localhost.evil.example"]
)
def test_a_page_of_another_server_can_neither_send_nor_delete(house: House, origin: str) -> None:
    assert house.send(headers={"Origin": origin}).status_code == 403
    job = house.send(headers={"Origin": "http://localhost"}).json()
    assert house.client.delete(f"{BASE}/{job['id']}", headers={"Origin": origin}).status_code == 403
    assert house.client.get(f"{BASE}/{job['id']}").json()["state"] == "queued"


def test_no_answer_lets_other_pages_read_it(house: House) -> None:
    for answer in (
        house.client.get(BASE, headers={"Origin": "http://evil.example"}),
        house.client.options(
            BASE, headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
        ),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8600", "localhost.evil.example", "", "[::2]", "[", "10.0.0.1"]
)
def test_a_name_that_another_made_lead_here_is_refused(house: House, host: str) -> None:
    assert house.client.get(BASE, headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8600", "127.0.0.1:8600", "[::1]:8600", "scans.clinic.example"]
)
def test_its_own_names_are_its_own(tmp_path: Path, host: str) -> None:
    house = House(tmp_path, names=("scans.clinic.example",))
    assert house.client.get(BASE, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/static/app.js", BASE, "/nothing", "/healthz"])
def test_every_answer_allows_itself_only(house: House, path: str) -> None:
    headers = house.client.get(path).headers
    policy = dict(each.strip().split(" ", 1) for each in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_a_report_is_shut_in_and_runs_its_own_script_only(finished: tuple[House, dict[str, Any]]) -> None:
    house, job = finished
    policy = house.client.get(f"{BASE}/{job['id']}/report").headers["content-security-policy"]
    assert "script-src 'sha256-" in policy
    assert "unsafe" not in policy
    assert "sandbox allow-scripts allow-modals" in policy
    assert "allow-same-origin" not in policy


def test_another_address_needs_a_token(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="token"):
        make_app(Options(host="0.0.0.0", data=tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_neither_log_nor_addresses_tell_of_a_patient(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    name = "DOE^JANE-19700101.npy"
    job = house.done((name, scan()), report="false")
    bad = house.done((f"{name}.nii.gz", b"x"))
    house.client.get(f"{BASE}/DOE^JANE")
    house.client.get("/DOE^JANE?patient=DOE^JANE")
    house.send((name, scan()), seed="DOE^JANE", headers={"Idempotency-Key": "DOE^JANE"})
    house.client.get(BASE, headers={"Host": "DOE^JANE", "User-Agent": "DOE^JANE"})
    lines = capfd.readouterr().err.splitlines()
    assert len([json.loads(line) for line in lines]) > 8
    assert not [line for line in lines if "DOE" in line or "JANE" in line]
    for told in (job, bad):
        assert not any("DOE" in link for link in told["links"].values())
    # Whoever sent it sees it.
    assert job["title"] == name


def test_a_fault_is_said_without_what_it_says(
    house: House, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("DOE^JANE")

    monkeypatch.setattr(house.shop.queue, "get", fails)
    answer = house.client.get(f"{BASE}/{'0' * 32}")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    said = answer.text + capfd.readouterr().err
    assert "ValueError" in said
    assert "DOE" not in said
