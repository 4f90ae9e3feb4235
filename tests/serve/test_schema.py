"""Whatever the OpenAPI document allows, or nearly allows, is answered as it says, and never by a fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("schemathesis")

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.serve.conftest import BASE, House

load_all_checks()

#: All but the stream of all jobs, which ends with the server only.
DOORS = [
    *((BASE, "POST"), (BASE, "GET"), (f"{BASE}/{{id}}", "GET"), (f"{BASE}/{{id}}", "DELETE")),
    *((f"{BASE}/{{id}}/{each}", "GET") for each in ("events", "result", "residual", "report")),
    *(
        ("/api/v1/info", "GET"),
        ("/api/v1/models", "GET"),
        ("/healthz", "GET"),
        ("/readyz", "GET"),
        ("/metrics", "GET"),
    ),
]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Any]]:
    house = House(tmp_path_factory.mktemp("schema"), upload_mb=1, names=("testserver",))
    yield house, schemathesis.openapi.from_asgi("/api/v1/openapi.json", house.app)
    # Nothing was written elsewhere.
    assert [each.name for each in house.folder.iterdir()] == ["data"]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("path", "method"), DOORS)
def test_every_door_answers_as_the_document_says(
    asked: tuple[House, Any], path: str, method: str, mode: GenerationMode
) -> None:
    operation = asked[1][path][method]
    if mode is GenerationMode.NEGATIVE and not (
        operation.body or operation.query or operation.path_parameters
    ):
        return

    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        # Wishes may be right one by one and contradict each other.
        case.call_and_validate(excluded_checks=[positive_data_acceptance] if method == "POST" else [])

    ask()


def test_the_doors_are_all_there_are(asked: tuple[House, Any]) -> None:
    tree = asked[0].client.get("/api/v1/openapi.json").json()
    there = {(path, method.upper()) for path, methods in tree["paths"].items() for method in methods}
    assert there - set(DOORS) == {("/api/v1/events", "GET")}
    assert set(DOORS) <= there
