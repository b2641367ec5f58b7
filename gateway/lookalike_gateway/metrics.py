"""Define the gateway's Prometheus metrics. `docs/http.md` explains each; a test compares the two."""

from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from starlette.types import Scope

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_NO_ROUTE: Final = "none"
"""The route of requests that no handler got: their paths are anything that callers think of."""


class Metrics:
    """The gateway has metrics of its own, and those of its process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._seconds = Histogram(
            "lookalike_http_request_seconds",
            "Serving one request.",
            ("route", "method", "status"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_progress = Gauge(
            "lookalike_http_requests_in_progress", "Requests being served.", registry=self.registry
        )

    def ended(self, scope: Scope, status: int, seconds: float) -> None:
        """Note the end of a request; a status of 0 is one whose client went before it was answered."""
        route = getattr(scope.get("route"), "path", _NO_ROUTE)
        self._seconds.labels(route, _method(scope["method"]), str(status)).observe(seconds)


def _method(method: str) -> str:
    """Return a method that there is, as callers may send any word."""
    return method if method in ("GET", "HEAD", "POST", "PATCH", "OPTIONS") else "other"
