"""Jobs are sent, listed, looked at, cancelled and deleted; what is wrong with a request is said."""

from __future__ import annotations

import errno
import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffdenoise.work.queue import New, new_id
from tests.scan.dicom.files import slices
from tests.serve.conftest import BASE, House, scan

HOSTILE = [
    "../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/etc/cron.d/x",
    "C:\\x.npy",
    "<img src=x onerror=alert(1)>.npy",
    "'; DROP TABLE jobs; --.npy",
    "a\r\nSet-Cookie: x=1.npy",
    "x" * 5000 + ".npy",
    "a/" * 300 + "b.npy",
    "CON",
    ".",
    "..",
    "nul\x00byte.npy",
    "\u202eypn.exe",
]

BOMBS = sorted(
    each for each in (Path(__file__).parents[1] / "cases" / "bombs").iterdir() if each.suffix != ".md"
)


def zip_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_a_scan_is_denoised_and_comes_back_in_its_format(finished: tuple[House, dict[str, Any]]) -> None:
    house, job = finished
    assert job["state"] == "done"
    assert job["verdict"] in ("fine", "look closer", "do not trust")
    result = house.client.get(f"{BASE}/{job['id']}/result")
    assert result.headers["content-disposition"].startswith('attachment; filename="scan.npy"')
    noisy, denoised = np.load(io.BytesIO(scan())), np.load(io.BytesIO(result.content))
    clean = np.load(io.BytesIO(scan(std=0)))
    assert denoised.dtype == noisy.dtype
    assert np.abs(denoised - clean).mean() < 0.7 * np.abs(noisy - clean).mean()
    residual = np.load(io.BytesIO(house.client.get(f"{BASE}/{job['id']}/residual").content))
    assert np.abs(noisy - residual - denoised).max() <= 0.51
    report = house.client.get(f"{BASE}/{job['id']}/report")
    assert report.headers["content-type"].startswith("text/html")
    assert "Trust report" in report.text
    tag = result.headers["etag"]
    assert house.client.get(f"{BASE}/{job['id']}/result", headers={"If-None-Match": tag}).status_code == 304


def test_the_answer_says_where_the_job_is(house: House) -> None:
    answer = house.send()
    job = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"{BASE}/{job['id']}")
    assert (job["state"], job["position"], job["is_new"], job["error"]) == ("queued", 0, True, None)
    assert house.send(("b.npy", scan(1))).json()["position"] == 1
    assert house.client.get(f"{BASE}/{job['id']}/result").status_code == 409


def test_several_files_come_back_as_a_zip(house: House) -> None:
    job = house.done(("a/one.npy", scan(1)), ("a/two.npy", scan(2)), report="false")
    found = house.client.get(f"{BASE}/{job['id']}/result")
    with zipfile.ZipFile(io.BytesIO(found.content)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["one.npy", "two.npy"]
        assert np.load(io.BytesIO(archive.read("one.npy"))).shape == (40, 36, 5)
    assert (job["title"], job["files"], len(job["scans"])) == ("a", 2, 2)
    assert house.client.get(f"{BASE}/{job['id']}/report").status_code == 404


@pytest.mark.parametrize("as_zip", [False, True])
def test_a_dicom_folder_comes_back_as_a_series(house: House, tmp_path: Path, as_zip: bool) -> None:
    slices(tmp_path / "series", count=5)
    files = [(f"study/{path.name}", path.read_bytes()) for path in sorted((tmp_path / "series").iterdir())]
    sent = [("study.zip", zip_of(dict(files)))] if as_zip else files
    job = house.done(*sent, report="false")
    assert job["state"] == "done", job
    found = house.client.get(f"{BASE}/{job['id']}/result")
    with zipfile.ZipFile(io.BytesIO(found.content)) as archive:
        assert len(archive.namelist()) == 5
        assert all(archive.read(name)[128:132] == b"DICM" for name in archive.namelist())


def test_a_zip_of_other_files_is_unpacked_and_one_that_leads_outside_stays_inside(house: House) -> None:
    content = zip_of({"../../../evil.npy": scan(1), "deep/fine.npy": scan(2), "__MACOSX/._fine.npy": b"x"})
    job = house.done(("two.zip", content), report="false")
    assert sorted(each["name"] for each in job["scans"]) == ["evil.npy", "fine.npy"]
    assert not list(house.folder.glob("**/data/../evil.npy"))
    assert list(house.folder.iterdir()) == [house.options.folder]


@pytest.mark.parametrize("content", [b"PK\x03\x04 no zip", zip_of({"a.npy": scan()})[:-30], zip_of({})])
def test_a_damaged_or_empty_zip_fails_with_a_reason(house: House, content: bytes) -> None:
    job = house.done(("two.zip", content))
    assert job["state"] == "failed"
    error = job["error"]
    assert set(error) == {"type", "title", "status", "detail"}
    assert str(house.folder) not in error["detail"]


def test_a_zip_that_grows_too_large_fails(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffdenoise.work.unzip.MOST_BYTES", 10_000)
    monkeypatch.setattr("diffdenoise.work.unzip.unpacked.__defaults__", (10_000,))
    job = house.done(("big.zip", zip_of({"a.npy": bytes(20_000)})))
    assert job["state"] == "failed"
    assert "more than there is room for" in job["error"]["detail"]


def test_the_same_series_twice_is_one_job_and_another_wish_is_another(house: House) -> None:
    first = house.send().json()
    again = house.send().json()
    assert (again["id"], again["is_new"]) == (first["id"], False)
    assert house.send(strength="0.5").json()["id"] != first["id"]
    assert house.send(("scan.npy", scan(1))).json()["id"] != first["id"]
    # Nothing is kept of what was sent twice.
    assert len(house.kept()) == 3


def test_dicom_files_are_the_same_series_in_any_order_and_under_any_name(
    house: House, tmp_path: Path
) -> None:
    slices(tmp_path / "series", count=3)
    made = [path.read_bytes() for path in (tmp_path / "series").iterdir()]
    first = house.send(*[(f"a/{n}.dcm", each) for n, each in enumerate(made)]).json()
    again = house.send(*[(f"IM{n}", each) for n, each in enumerate(reversed(made))]).json()
    assert again["id"] == first["id"]


def test_an_idempotency_key_makes_a_request_one_job_and_is_no_others(house: House) -> None:
    key = {"Idempotency-Key": "'; DROP TABLE jobs; --"}
    first = house.send(headers=key).json()
    house.client.delete(f"{BASE}/{first['id']}")
    assert house.send(headers=key).json()["id"] == first["id"]
    other = house.send(strength="0.5", headers=key)
    assert (other.status_code, other.headers["content-type"]) == (422, "application/problem+json")
    assert house.send(headers={"Idempotency-Key": "x" * 256}).status_code == 422


def test_pages_of_jobs_lead_from_one_to_the_next(house: House) -> None:
    sent = [house.send(("s.npy", scan(seed))).json()["id"] for seed in range(5)]
    found, address = [], f"{BASE}?limit=2"
    while address:
        page = house.client.get(address).json()
        found += [job["id"] for job in page["jobs"]]
        address = page["next"]
    assert found == sent[::-1]
    house.client.delete(f"{BASE}/{sent[2]}")
    assert [job["id"] for job in house.client.get(f"{BASE}?state=cancelled").json()["jobs"]] == [sent[2]]


def test_ten_thousand_jobs_are_listed_by_the_page(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = house.shop.queue
    from diffdenoise.work import queue_table

    with queue_table.together(queue.path) as connection:
        for number in range(10_000):
            given = {
                **New(new_id(), str(number), "r", "t", 1, 1, "{}").__dict__,
                "state": "queued",
                "created": 1.0,
            }
            names, marks = ", ".join(given), ", ".join(f":{name}" for name in given)
            connection.execute(
                f"INSERT INTO jobs ({names}, revision) VALUES ({marks}, {number})",
                given,
            )
    steps: list[int] = []
    real = queue_table.sqlite3.connect

    def counted(*given: Any, **named: Any) -> Any:
        connection = real(*given, **named)
        connection.set_progress_handler(lambda: steps.append(1), 1000)
        return connection

    monkeypatch.setattr(queue_table.sqlite3, "connect", counted)
    page = house.client.get(f"{BASE}?limit=50").json()
    assert len(page["jobs"]) == 50
    assert page["counts"] == {"queued": 10_000}
    assert page["jobs"][0]["position"] == 9999
    # Work that the database did: no look at every job for each of them.
    assert len(steps) < 200


def test_a_job_that_waits_is_cancelled_and_then_deleted(house: House) -> None:
    job = house.send().json()
    assert house.client.delete(f"{BASE}/{job['id']}").json()["state"] == "cancelled"
    house.work()
    assert house.client.get(f"{BASE}/{job['id']}").json()["state"] == "cancelled"
    assert house.client.delete(f"{BASE}/{job['id']}").status_code == 204
    assert house.client.get(f"{BASE}/{job['id']}").status_code == 404
    assert house.kept() == []


def test_options_reach_the_denoiser(house: House) -> None:
    none = house.done(strength="0", report="off")
    result = np.load(io.BytesIO(house.client.get(f"{BASE}/{none['id']}/result").content))
    assert np.array_equal(result, np.load(io.BytesIO(scan())))
    named = house.done(model="general", report="0")
    assert named["scans"][0]["weights"] == "general"


@pytest.mark.parametrize(
    "fields",
    [
        {"minutes": "0"},
        {"minutes": "nan"},
        {"minutes": "1e9"},
        {"minutes": "five"},
        {"model": "../../../etc"},
        {"model": "/etc"},
        {"model": "blind-spot"},
        {"model": "general'; DROP TABLE jobs; --"},
        {"model": "general", "minutes": "1"},
        {"strength": "1.5"},
        {"strength": "inf"},
        {"seed": "-1", "minutes": "1"},
        {"seed": str(2**70)},
        {"report": "perhaps"},
        {"polish": "yes"},
        {"minutes": "9" * 2000},
    ],
)
def test_wishes_that_cannot_be_granted_are_refused_and_nothing_is_kept(
    house: House, fields: dict[str, str]
) -> None:
    answer = house.send(**fields)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 422
    # What was sent is not said again.
    assert all(
        value not in answer.text for value in fields.values() if len(value) > 6 and not value.isalnum()
    )
    assert house.kept() == []
    assert house.shop.queue.counts() == {}


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_names_of_files_do_no_harm(house: House, name: str) -> None:
    answer = house.send((name, scan()), report="false")
    if len(name) > 4000:
        # Longer than headers may be.
        assert (answer.status_code, house.kept()) == (422, [])
        return
    assert answer.status_code == 202
    job_id = answer.json()["id"]
    assert list(house.folder.iterdir()) == [house.options.folder]
    assert all(each.startswith(f"jobs/{job_id}/in/") for each in house.kept())
    house.work()
    result = house.client.get(f"{BASE}/{job_id}/result")
    assert "set-cookie" not in result.headers
    assert result.status_code in (200, 409)


def test_the_same_name_twice_is_two_files(house: House) -> None:
    job = house.done(("s.npy", scan(1)), ("s.npy", scan(2)), ("S.npy", scan(3)), report="false")
    assert len(job["scans"]) == 3


def test_more_than_the_limit_is_refused_whether_its_length_is_told_or_not(tmp_path: Path) -> None:
    house = House(tmp_path, upload_mb=0.01)
    told = house.send(("s.npy", bytes(20_000)))
    assert (told.status_code, told.headers["content-type"]) == (413, "application/problem+json")
    boundary = b'--b\r\nContent-Disposition: form-data; name="files"; filename="s.npy"\r\n\r\n'
    untold = house.client.post(
        BASE,
        content=iter([boundary, *[bytes(1000)] * 20, b"\r\n--b--\r\n"]),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert untold.status_code == 413
    assert house.kept() == []
    assert house.send(("s.npy", bytes(9_000))).status_code == 202


def test_what_is_announced_as_too_large_is_not_read(tmp_path: Path) -> None:
    house = House(tmp_path, upload_mb=0.01)
    read: list[int] = []

    def body() -> Any:
        read.append(1)
        yield b""

    headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(10**12)}
    assert house.client.post(BASE, content=body(), headers=headers).status_code == 413
    assert list((house.options.folder / "incoming").iterdir()) == []


def test_a_full_disk_is_said_and_the_server_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    real = house.shop.spool.free_bytes
    monkeypatch.setattr(house.shop.spool, "free_bytes", lambda: -1)
    answer = house.send()
    assert (answer.status_code, answer.headers["content-type"]) == (507, "application/problem+json")
    assert house.client.get("/readyz").json()["checks"]["disk"] == "full"
    monkeypatch.setattr(house.shop.spool, "free_bytes", real)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("diffdenoise.serve.upload.os.fsync", full)
        answer = house.send()
    assert (answer.status_code, answer.json()["title"]) == (507, "Insufficient Storage")
    assert house.kept() == []
    assert house.send().status_code == 202


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"", "multipart/form-data", 415),
        (b"", "multipart/form-data; boundary=b", 422),
        (b"nonsense", "multipart/form-data; boundary=b", 422),
        (
            b'--b\r\nContent-Disposition: form-data; name="files"; filename="s"\r\n\r\nhalf',
            "multipart/form-data; boundary=b",
            422,
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="seed"\r\n\r\n1\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            422,
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="other"; filename="s"\r\n\r\n1\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            422,
        ),
        (
            b"--b\r\n" + b"A: " + b"x" * 20_000 + b"\r\n\r\n1\r\n--b--\r\n",
            "multipart/form-data; boundary=b",
            422,
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="files"; filename="s"\r\n\r\n1\r\n--b--\r\n',
            "multipart/form-data; boundary=" + "b" * 300,
            415,
        ),
    ],
    ids=range(9),
)
def test_bodies_that_are_no_upload_are_refused(house: House, content: bytes, kind: str, status: int) -> None:
    answer = house.client.post(BASE, content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert house.kept() == []


@pytest.mark.parametrize("path", BOMBS, ids=lambda path: path.name)
def test_files_that_are_made_to_do_harm_fail_with_a_reason(house: House, path: Path) -> None:
    inside = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    sent = [(each.relative_to(path.parent).as_posix(), each.read_bytes()) for each in inside]
    job = house.done(*sent, report="false")
    assert job["state"] == "failed", job
    assert "internal" not in job["error"]["detail"]
    assert str(house.folder) not in job["error"]["detail"]
    assert house.done(report="false")["state"] == "done"


@pytest.mark.parametrize("cut", range(1, 8))
def test_an_upload_that_breaks_off_after_whole_files_is_no_job(house: House, cut: int) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="s.npy"\r\n\r\n'
    body = (head + b"1\r\n") * 2 + b"--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    # The line break at the very end is no part of what is said.
    answer = house.client.post(BASE, content=body[: -2 - cut], headers=headers)
    assert (answer.status_code, house.kept()) == (422, [])
    assert house.client.post(BASE, content=body, headers=headers).status_code == 202


def test_what_cannot_be_read_fails_with_a_reason(house: House) -> None:
    job = house.done(("scan.nii.gz", b"no scan"))
    assert job["state"] == "failed"
    assert job["error"]["title"] == "Unprocessable Content" or job["error"]["status"] == 422
    assert job["error"]["detail"].startswith("scan.nii.gz: ")
    for kind in ("result", "residual", "report"):
        assert house.client.get(f"{BASE}/{job['id']}/{kind}").status_code == 409


def test_events_tell_of_a_job_to_its_end(house: House) -> None:
    job = house.send(report="false").json()
    house.work()
    with house.client.stream("GET", f"{BASE}/{job['id']}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = list(stream.iter_lines())
    told = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert told[-1]["state"] == "done"
    assert told[-1]["links"]["result"] == f"{BASE}/{job['id']}/result"


def test_jobs_are_purged_by_age_and_orphans_swept(house: House) -> None:
    old, new = house.send().json()["id"], house.send(("b.npy", scan(1))).json()["id"]
    for job_id in (old, new):
        house.client.delete(f"{BASE}/{job_id}")
    (house.options.folder / "incoming" / "half").mkdir()
    (house.options.folder / "jobs" / "orphan").mkdir()
    house.shop.receiving.add("just-now")
    (house.options.folder / "incoming" / "just-now").mkdir()
    from diffdenoise.work.queue_table import opened

    with opened(house.shop.queue.path) as connection:
        connection.execute("UPDATE jobs SET finished = ? WHERE id = ?", (time.time() - 31 * 86400, old))
    house.shop.sweep()
    data = house.options.folder
    assert [each.name for each in (data / "jobs").iterdir()] == [new]
    assert [each.name for each in (data / "incoming").iterdir()] == ["just-now"]
    assert house.client.get(f"{BASE}/{old}").status_code == 404


def test_a_queue_that_is_locked_is_said(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    monkeypatch.setattr("diffdenoise.work.queue_table._BUSY_S", 0.01)
    holder = sqlite3.connect(house.shop.queue.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    answer = house.send()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert house.kept() == []
    holder.execute("ROLLBACK")
    assert house.send().status_code == 202


def test_png_has_no_residual_and_says_so(house: House, tmp_path: Path) -> None:
    from PIL import Image

    values = np.random.default_rng(0).normal(120, 12, (64, 64)).clip(0, 255).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "x.png")
    job = house.done(("x.png", (tmp_path / "x.png").read_bytes()), report="false")
    assert job["state"] == "done", job
    assert "residual" not in job["links"]
    assert house.client.get(f"{BASE}/{job['id']}/residual").status_code == 404
