"""Define the searcher's Prometheus metrics. `docs/searcher.md` explains each; a test compares the two."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Final

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from lookalike_serving.arrivals import Arrivals
from lookalike_serving.errors import DomainError

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_IMAGES: Final = (10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_LACKING: Final = ("index_building", "fell_back")
"""Searches with these reasons are slower than they should be. The projects are named: they are few, and large."""
_PREFIX: Final = "lookalike_searcher"


class Metrics:
    """The searcher has metrics of its own, and those of its process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.rpc_seconds = self._histogram("rpc_seconds", "Serving one RPC.", _SECONDS, "method", "code")
        self.search_seconds = self._histogram("search_seconds", "Ranking in the database.", _SECONDS, "mode")
        self.searches = self._counter("searches", "Searches answered, by why they were approximate or exact.", "reason")
        self.lacking_index = self._counter(
            "searches_lacking_index", "Exact rankings for want of an index that serves.", "project", "reason"
        )
        self.images_ranked = self._histogram("images_ranked", "Images that one search ranked over.", _IMAGES, "mode")
        self.fallbacks = self._counter("fallbacks", "Approximate rankings that were made again exactly.", "reason")
        self.verify_seconds = self._histogram("verify_seconds", "Verifying the hits of one search.", _SECONDS)
        self.verified = self._counter("verified", "Hits compared by their fingerprints, by what was proven.", "result")
        self.stored = self._counter("images_stored", "Images acknowledged.", "result")
        self.deleted = self._counter("images_deleted", "Images deleted.")
        self.feedback = self._counter("feedback", "Verdicts on hits recorded, as far as they were new.", "verdict")
        self.refused = self._counter("refused", "Calls and items of streams refused.", "reason")
        self.pool_wait = self._histogram("pool_wait_seconds", "Waiting for a connection.", _SECONDS)
        self.loop_lag = self._histogram("loop_lag_seconds", "How late the event loop wakes.", _SECONDS)
        self.arrivals = Arrivals(_PREFIX, self.registry, _SECONDS)
        self.pool_connections = self._gauge("pool_connections", "Connections to PostgreSQL.", "state")
        self.index_progress = self._gauge("index_progress", "Progress of an index build here, 0 to 1.", "project")
        self.maintenance = self._counter("maintenance", "Jobs of the maintenance task done.", "task", "result")
        self.tuning = self._counter("tuning", "Steps of projects' tuning taken.", "step")
        self._tuned = self._gauge("tuned_projects", "Projects by how they are tuned.", "policy", "stage")
        self.recall = self._gauge("recall", "Share of the true nearest found, over the last samples.", "project")
        self.calibrated_recall = self._gauge(
            "calibrated_recall", "Share of the nearest ten found, by calibration.", "project", "depth"
        )
        self.calibrated_seconds = self._gauge(
            "calibrated_seconds", "Median time of a ranking, by calibration.", "project", "depth"
        )
        self.recall_samples = self._counter("recall_samples", "Approximate searches ranked exactly again.", "result")
        self.replica_lag = self._gauge("replica_lag_seconds", "How far the read replica is behind.")
        self.reads = self._counter("reads", "Searches by where they were made.", "server")
        self.slow = self._counter("slow_queries", "Searches slower than --slow-query-seconds.")
        self.serving = self._gauge("serving", "1 while health says SERVING, else 0.")
        self._of_rpcs = cache(self.rpc_seconds.labels)
        self._of_searches = cache(
            lambda mode, reason: (
                self.search_seconds.labels(mode),
                self.images_ranked.labels(mode),
                self.searches.labels(reason),
            )
        )

    def rpc_ended(self, method: str, code: grpc.StatusCode, reason: str, seconds: float) -> None:
        """Observe an RPC that has ended; `reason` is empty unless it was refused or failed."""
        self._of_rpcs(method.rpartition("/")[2], code.name).observe(seconds)
        if reason:
            self.refused.labels(reason).inc()

    def searched(self, project: str, mode: str, reason: str, seconds: float, images_ranked: int) -> None:
        """Observe a search of the project that was answered in this mode, for this reason; see `Reason`."""
        of_seconds, of_images, of_reason = self._of_searches(mode, reason)
        of_seconds.observe(seconds)
        of_images.observe(images_ranked)
        of_reason.inc()
        if reason in _LACKING:
            self.lacking_index.labels(project, reason).inc()

    def outcome(self, outcome: bool | DomainError) -> str:
        """Count the outcome of an image: whether storing it changed anything, or its refusal.

        Returns the outcome's name.
        """
        result = "indexed" if outcome else "unchanged"
        if isinstance(outcome, DomainError):
            result = "failed"
            self.refused.labels(outcome.reason).inc()
        self.stored.labels(result).inc()
        return result

    def tuned_projects(self, counts: Iterable[tuple[str, str, int]]) -> None:
        """Set how many projects there are of each policy and stage."""
        self._tuned.clear()
        for policy, stage, count in counts:
            self._tuned.labels(policy, stage).set(count)

    def calibrated(self, project: str, rungs: Iterable[tuple[int, float, float]], exact_seconds: float) -> None:
        """Set what a calibration of the project measured: hnsw.ef_search, recall and seconds of each rung."""
        for ef_search, recall, seconds in rungs:
            self.calibrated_recall.labels(project, ef_search).set(recall)
            self.calibrated_seconds.labels(project, ef_search).set(seconds)
        self.calibrated_seconds.labels(project, "exact").set(exact_seconds)

    def watch_pool(self, size: Callable[[], int], idle: Callable[[], int]) -> None:
        """Set the functions that are called whenever the metrics are read."""
        self.pool_connections.labels("open").set_function(size)
        self.pool_connections.labels("idle").set_function(idle)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", text, labels, registry=self.registry, buckets=buckets)
