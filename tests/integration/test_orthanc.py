"""A real archive, Debian's Orthanc on loopback: it stores derived series and gives them back as they were."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from diffdenoise.scan.dicom.derive import Derivation
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.write import write_scan
from tests.scan.dicom.files import CT, enhanced, read, slices

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_STARTS_WITHIN_S = 60


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an archive of its own."""
    program = shutil.which("Orthanc")
    if program is None or not PLUGIN.is_file():
        pytest.skip("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb")
    folder = tmp_path_factory.mktemp("orthanc")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "HttpPort": port,
        "HttpBindAddresses": ["127.0.0.1"],
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(10 * _STARTS_WITHIN_S):
                try:
                    ask(f"{address}/system")
                    break
                except urllib.error.URLError:
                    assert process.poll() is None, (folder / "log").read_text()
                    time.sleep(0.1)
            else:
                pytest.fail("Orthanc doesn't answer")
            yield address
        finally:
            process.terminate()
            process.wait(30)


def ask(url: str, data: bytes | None = None, accept: str = "application/json") -> bytes:
    request = urllib.request.Request(url, data=data, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: bytes = answer.read()
    return found


def parts_of(multipart: bytes) -> list[bytes]:
    """Bodies of a multipart/related answer (RFC 2046)."""
    mark = multipart.split(b"\r\n", 1)[0]
    pieces = multipart.split(mark)[1:-1]
    return [piece.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for piece in pieces]


@pytest.mark.parametrize("compression", ["none", "jpeg-ls"])
@pytest.mark.parametrize("kind", ["mr", "ct", "enhanced"])
def test_an_archive_stores_a_derived_series_and_gives_it_back(
    kind: str, compression: Any, orthanc: str, tmp_path: Path
) -> None:
    uids = {"StudyInstanceUID": f"1.2.{hash(kind + compression) % 10**9}"}
    if kind == "enhanced":
        enhanced(tmp_path / "in", **uids)
    elif kind == "ct":
        slices(tmp_path / "in", sop_class=CT, modality="CT", RescaleSlope=1, RescaleIntercept=-1024, **uids)
    else:
        slices(tmp_path / "in", **uids)
    scan = read_scan(tmp_path / "in")
    target = tmp_path / "out" / ("one" if kind == "enhanced" else "")
    write_scan(scan.with_data(scan.data + 1.0), target, derivation=Derivation(compression=compression))
    files = {read(path).SOPInstanceUID: path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for path in [*(tmp_path / "in").iterdir(), *files.values()]:
        assert json.loads(ask(f"{orthanc}/instances", path.read_bytes()))["Status"] == "Success"

    web = f"{orthanc}/dicom-web"
    found = json.loads(
        ask(f"{web}/studies/{uids['StudyInstanceUID']}/series", accept="application/dicom+json")
    )
    described = {one["0020000E"]["Value"][0]: one["0008103E"]["Value"][0] for one in found}
    # Source and result lie in one study, as two series.
    assert sorted(described.values()) == ["CANARY t1 tse", "CANARY t1 tse denoised"]
    series = next(uid for uid, words in described.items() if words.endswith("denoised"))
    answer = ask(
        f"{web}/studies/{uids['StudyInstanceUID']}/series/{series}",
        accept='multipart/related; type="application/dicom"; transfer-syntax=*',
    )
    instances = parts_of(answer)
    assert len(instances) == len(files)
    for number, content in enumerate(instances):
        back = tmp_path / f"back{number}"
        back.write_bytes(content)
        assert read(back) == read(files[read(back).SOPInstanceUID])
        assert content == files[read(back).SOPInstanceUID].read_bytes()
        assert np.array_equal(
            pydicom.dcmread(back).pixel_array, read(files[read(back).SOPInstanceUID]).pixel_array
        )
