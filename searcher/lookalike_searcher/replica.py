"""A read replica, and how far it is behind."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lookalike_searcher.config import Config
from lookalike_searcher.database import Database
from lookalike_searcher.metrics import Metrics


class Replica:
    """A read replica."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def is_fresh(self) -> bool:
        """Whether it is near enough to the primary."""
        return False


@asynccontextmanager
async def following(config: Config, primary: Database, metrics: Metrics) -> AsyncIterator[Replica | None]:
    """The replica that is configured, and a task that watches how far it is behind."""
    yield None
