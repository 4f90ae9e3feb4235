"""What the server says of itself: version, models, health, and figures for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from diffdenoise._version import __version__
from diffdenoise.errors import DiffDenoiseError
from diffdenoise.model.named import NAMES
from diffdenoise.networks.shipped import read_shipped, shipped
from diffdenoise.packages import is_installed
from diffdenoise.scan.registry import FORMATS
from diffdenoise.serve.problems import documented
from diffdenoise.serve.shop import Shop
from diffdenoise.work.queue_table import STATES
from diffdenoise.work.wish import names_of

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Figures:
    """Figures for Prometheus: requests as they come, and the queue when it is asked."""

    def __init__(self, shop: Shop) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "diffdenoise_requests", "Answers", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "diffdenoise_request_seconds", "Seconds to an answer's end", ["route"], registry=self.registry
        )
        self.registry.register(_OfQueue(shop))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Take in an answer."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


class _OfQueue(Collector):
    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        counts = self._shop.queue.counts()
        jobs = GaugeMetricFamily("diffdenoise_jobs", "Jobs by state", labels=["state"])
        for state in STATES:
            jobs.add_metric([state], counts.get(state, 0))
        yield jobs
        yield GaugeMetricFamily(
            "diffdenoise_queue_age_seconds", "Longest wait of a queued job", self._shop.queue.oldest_s()
        )
        yield GaugeMetricFamily("diffdenoise_disk_free_bytes", "Room for data", self._shop.spool.free_bytes())
        yield GaugeMetricFamily("diffdenoise_workers", "Workers that run", self._shop.alive())


def info(shop: Shop) -> dict[str, Any]:
    """Return what callers need know of a server."""
    return {
        "name": "DiffDenoise",
        "version": __version__,
        "formats": [{"name": each.title, "suffixes": each.suffixes} for each in FORMATS],
        "trains": is_installed("torch"),
        "most_minutes": shop.options.most_minutes,
        "upload_bytes": int(shop.options.upload_mb * 1e6),
        "keep_days": shop.options.keep_days,
        "workers": shop.options.workers,
        "needs_token": shop.options.token_file is not None,
        "notice": "Research software, no medical device.",
    }


def models(shop: Shop) -> dict[str, Any]:
    """Return the models that a job may name."""
    known = [{**one.as_dict(), "kind": "package"} for one in shipped() if one.name in NAMES]
    return {"models": [*known, *({"name": name, "kind": "server"} for name in names_of(shop.spool.models))]}


def readiness(shop: Shop) -> tuple[bool, dict[str, str]]:
    """Return whether jobs can be taken and done, and what is in the way."""

    def model() -> str:
        for one in shipped():
            read_shipped(one.file)
        return "ok"

    def disk() -> str:
        return "ok" if shop.spool.free_bytes() >= shop.options.least_free_mb * 1e6 else "full"

    def queue() -> str:
        shop.queue.set_aside()
        return "ok"

    def workers() -> str:
        return "ok" if shop.alive() else "none runs"

    found = {check.__name__: _said(check) for check in (model, disk, queue, workers)}
    return all(each == "ok" for each in found.values()), found


def _said(check: Callable[[], str]) -> str:
    try:
        return check()
    except (DiffDenoiseError, OSError) as error:
        return f"failed ({type(error).__name__})"


def routes(shop: Shop) -> APIRouter:
    """Return the doors to facts below `/api/v1`."""
    router = APIRouter(prefix="/api/v1", tags=["server"])

    @router.get("/info", responses=documented(401))
    def _info() -> dict[str, Any]:
        """Tell of the server: version, formats, limits."""
        return info(shop)

    @router.get("/models", responses=documented(401))
    def _models() -> dict[str, Any]:
        """List the models that a job may name."""
        return models(shop)

    return router


def health_routes(shop: Shop, figures: Figures) -> APIRouter:
    """Return the doors for who watches over the server."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    def _healthz() -> dict[str, str]:
        """Tell that the server is alive."""
        return {"status": "ok"}

    @router.get("/readyz", responses={503: {"description": "Not ready"}})
    def _readyz() -> Response:
        """Tell whether jobs can be taken and done."""
        is_ready, checks = readiness(shop)
        return JSONResponse(
            {"status": "ok" if is_ready else "not ready", "checks": checks}, 200 if is_ready else 503
        )

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented(401, 503)},
    )
    def _metrics() -> Response:
        """Return figures for Prometheus."""
        return Response(generate_latest(figures.registry), media_type=_TEXT)

    return router
