"""The searcher's configuration."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from lookalike.constants import SEARCHER_PORT
from lookalike_serving.security.config import Security

METRICS_PORT: Final = 9465
"""Where Prometheus reads: next to the embedder's."""


@dataclass(frozen=True)
class Config:
    """Everything that can be set, read from flags and environment in `__main__` alone. Times are in seconds."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = SEARCHER_PORT
    database_url: str | None = None
    read_database_url: str | None = None
    max_replica_lag: float = 5.0
    pool_size: int = 10
    command_timeout: float = 60.0
    exact_threshold: int = 10_000
    recall_target: float = 0.99
    recall_sample: float = 0.01
    maintenance_interval: float = 5.0
    build_patience: float = 10.0
    build_memory_mb: int = 1024
    slow_query_seconds: float = 1.0
    max_images: int = 0
    max_feedback: int = 100_000
    feedback_days: int = 365
    max_hits: int = 0
    max_batch: int = 0
    searches_per_second: float = 0.0
    metrics_port: int | None = None
    probe_interval: float = 5.0
    grace: float = 20.0
    security: Security = field(default_factory=Security)

    @property
    def feedback_kept(self) -> timedelta | None:
        """For how long feedback is kept; None: for ever."""
        return timedelta(days=self.feedback_days) if self.feedback_days else None

    @property
    def address(self) -> str:
        """Where to listen, as `host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def metrics_address(self) -> tuple[str, int]:
        """Where Prometheus reads: as set, else on METRICS_PORT, or on a free port where `port` is one too."""
        return self.host, (METRICS_PORT if self.port else 0) if self.metrics_port is None else self.metrics_port
