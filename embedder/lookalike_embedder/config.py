"""The embedder's configuration."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lookalike.wire import EMBEDDER_PORT, MAX_IMAGE_BYTES
from lookalike_embedder.weights import PUBLISHED_SHA256

CORES: Final = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""Processors that this process may run on."""


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
    decode_threads: int = CORES
    max_image_bytes: int = MAX_IMAGE_BYTES
    max_image_pixels: int = 64_000_000
    probe_interval: float = 10.0
    grace: float = 20.0

    @property
    def address(self) -> str:
        """Where to listen, as `host:port`."""
        return f"{self.host}:{self.port}"

    def batch_size_on(self, device: str) -> int:
        """The most images per batch: as set, else what keeps the device busy. On a CPU, one: more measured slower."""
        return self.max_batch_size or (64 if device == "cuda" else 1)

    def workers_on(self, device: str) -> int:
        """How many batches at once: as set, else one per core, or two on a GPU, where one is copied meanwhile."""
        return self.workers or (2 if device == "cuda" else CORES)
