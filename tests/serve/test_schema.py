"""Whatever is asked that the OpenAPI document allows, or nearly allows, is answered as it says, and never by a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

schemathesis = pytest.importorskip("schemathesis")

from hypothesis import HealthCheck, settings

from tests.serve.conftest import House

_MADE: list[House] = []


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> object:
    house = House(tmp_path_factory.mktemp("schema"), upload_mb=1)
    _MADE.append(house)
    # Streams of all jobs end with the server only.
    found = schemathesis.openapi.from_asgi("/api/v1/openapi.json", house.app)
    return found.exclude(path_regex="/events$")


loaded = schemathesis.pytest.from_fixture("schema")


@loaded.parametrize()
@settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
def test_every_door_answers_as_the_document_says(case: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    case.call_and_validate(headers={"Host": "localhost"})  # type: ignore[attr-defined]


def test_nothing_was_written_outside(schema: object) -> None:
    folder: Path = _MADE[0].folder
    assert [each.name for each in folder.iterdir()] == ["data"]
