"""Every setting of the searcher is here, with its flag, environment variable, range and help."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

import platformdirs

from lookalike.constants import SEARCHER_PORT
from lookalike_serving.options import Option
from lookalike_serving.settings import GrpcSettings, Port, ProbeInterval

_DATA_DIR: Final = platformdirs.user_data_path("lookalike")


@dataclass(frozen=True, kw_only=True)
class Config(GrpcSettings):
    """The searcher reads these settings. Times are in seconds."""

    METRICS_PORT: ClassVar[int] = 9465

    data_dir: Annotated[
        Path,
        Option("Folder of the embedded PostgreSQL; one searcher at a time.", shared=True),
    ] = _DATA_DIR
    port: Port = SEARCHER_PORT
    probe_interval: ProbeInterval = 5.0
    database_url: Annotated[
        str | None,
        Option("PostgreSQL with pgvector; unset, an embedded one is started.", variable="DATABASE_URL"),
    ] = None
    read_database_url: Annotated[
        str | None,
        Option("A streaming replica of DATABASE_URL's, for searches.", variable="READ_DATABASE_URL"),
    ] = None
    max_replica_lag: Annotated[
        float,
        Option("Seconds that the replica may be behind to be searched.", min=0),
    ] = 5.0
    database_patience: Annotated[
        float,
        Option("Seconds to wait for the database at the start.", min=0),
    ] = 60.0
    processes: Annotated[
        int,
        Option("Processes that share the port, each with its own pool, limits and metrics port.", min=1, max=64),
    ] = 1
    pool_size: Annotated[int, Option("Most connections to PostgreSQL.", min=1)] = 10
    command_timeout: Annotated[float, Option("Most seconds that one SQL statement may take.", min=0.1)] = 60.0
    exact_threshold: Annotated[int, Option("Images from which on a project gets an index (HNSW).", min=100)] = 2_000
    recall_target: Annotated[
        float,
        Option("Share of the true nearest that searches are to find.", min=0.5, max=0.999),
    ] = 0.99
    recall_sample: Annotated[
        float,
        Option("Share of approximate searches that are ranked exactly again.", min=0, max=1),
    ] = 0.01
    maintenance_interval: Annotated[float, Option("Seconds between two looks for work.", min=0.1)] = 5.0
    build_patience: Annotated[
        float,
        Option("Seconds without much growth before a project's index is built.", min=0),
    ] = 10.0
    build_memory_mb: Annotated[int, Option("Memory of PostgreSQL to build an index in, in MiB.", min=16)] = 1024
    tuning_policy: Annotated[
        Literal["off", "propose", "auto"],
        Option("How far new projects that name no policy are tuned.", name="tuning"),
    ] = "propose"
    slow_query_seconds: Annotated[float, Option("Searches that take longer are logged with plan.", min=0)] = 1.0
    verify_threads: Annotated[int, Option("Threads that compare fingerprints.", min=1, max=64)] = 2
    max_images: Annotated[int, Option("Most images of a project without a limit; 0: any.", min=0)] = 0
    max_feedback: Annotated[int, Option("Most searches of a project with feedback; 0: any number.", min=0)] = 100_000
    feedback_days: Annotated[
        int,
        Option("Days that feedback is kept, from its search; 0: for ever.", min=0, max=36500),
    ] = 365
    max_hits: Annotated[int, Option("Most hits of a search of a project without a limit; 0: 1,000.", min=0)] = 0
    max_batch: Annotated[int, Option("Most searches of a batch of a project without a limit; 0: 100.", min=0)] = 0
    searches_per_second: Annotated[
        float,
        Option("Most searches a second of a project without a limit; 0: any.", min=0),
    ] = 0.0

    @property
    def feedback_kept(self) -> timedelta | None:
        """Return how long feedback is kept; None: for ever."""
        return timedelta(days=self.feedback_days) if self.feedback_days else None
