"""The searcher's configuration."""

from dataclasses import dataclass
from pathlib import Path

from lookalike.wire import SEARCHER_PORT


@dataclass(frozen=True)
class Config:
    """Everything that can be set, read from flags and environment in `__main__` alone. Times are in seconds."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = SEARCHER_PORT
    database_url: str | None = None
    pool_size: int = 10
    command_timeout: float = 60.0
    probe_interval: float = 5.0
    grace: float = 20.0

    @property
    def address(self) -> str:
        """Where to listen, as `host:port`."""
        return f"{self.host}:{self.port}"
