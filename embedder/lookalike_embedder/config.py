"""The embedder's configuration."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lookalike.constants import EMBEDDER_PORT, MAX_IMAGE_BYTES
from lookalike_embedder.weights import PUBLISHED_SHA256
from lookalike_serving.security.config import Security

CORES: Final = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""Processors that this process may run on."""


METRICS_PORT: Final = 9464
"""Where Prometheus reads: the port that OpenTelemetry's Prometheus exporters use by default."""


@dataclass(frozen=True)
class Config:
    """Everything that can be set, read from flags and environment in `__main__` alone. Times are in seconds."""

    cache_dir: Path
    host: str = "127.0.0.1"
    port: int = EMBEDDER_PORT
    weights: Path | None = None
    weights_sha256: str = PUBLISHED_SHA256
    device: str = "auto"
    precision: str = "auto"
    workers: int = 0
    max_batch_size: int = 0
    max_waiting: int = 256
    max_streams: int = 64
    max_in_flight_bytes: int = 512 * 1024 * 1024
    max_decoding_pixels: int = 128_000_000
    decode_threads: int = CORES
    cache_size: int = 16_384
    max_image_bytes: int = MAX_IMAGE_BYTES
    max_image_pixels: int = 64_000_000
    max_connection_age: float = 300.0
    metrics_port: int | None = None
    probe_interval: float = 10.0
    grace: float = 20.0
    security: Security = field(default_factory=Security)

    @property
    def address(self) -> str:
        """Where to listen, as `host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def metrics_address(self) -> tuple[str, int]:
        """Where Prometheus reads: as set, else on METRICS_PORT, or on a free port where `port` is one too."""
        return self.host, (METRICS_PORT if self.port else 0) if self.metrics_port is None else self.metrics_port

    @property
    def max_stream_age(self) -> float:
        """Seconds after which a stream ends by itself: well before its connection is closed, see `server`."""
        return 0.8 * self.max_connection_age

    def workers_on(self, device: str) -> int:
        """How many bulk batches at once: as set, else one per core, or two on a GPU, where one is copied meanwhile."""
        return self.workers or (2 if device == "cuda" else CORES)
