"""The background task: fills derived spaces, and builds, tunes and cleans all indexes, one searcher at a time on each.

What is to be done is read from the registry; what was done is written there, after it is done. So a searcher that is
killed leaves nothing but work for the next one.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import asyncpg

from lookalike_searcher.config import Config
from lookalike_searcher.database.connection import FAILURES
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.indexes import backfill, index
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import registry
from lookalike_serving.errors import DomainError

logger = logging.getLogger(__name__)

_IMPORTING: Final = 0.01
"""By what share a project grows during `build_patience` while it is imported, which is quicker without an index."""
_IMPATIENCE: Final = 20
"""At so many times the threshold the index is built in any case."""
_DEAD_SHARE: Final = 0.05
"""Share of deleted vectors from which on their places in the index are cleaned: each costs a step of every search."""
_LEAST_DEAD: Final = 1_000
_GROWTH: Final = 2.0
"""How much a project grows before its index is calibrated anew."""
_WATCH_SECONDS: Final = 1.0
_STALE_EF_SEARCH: Final = 450
"""An index that must look so deep for ten hits is made anew: deletions have worn it out."""
_FAILURES: Final = (DomainError, *FAILURES)

Job = Callable[[Connection, asyncpg.Record], Awaitable[bool]]
"""Does something about what is due, on a connection for long statements; whether there was something to do."""


class Maintenance:
    """Looks for work every `config.maintenance_interval` seconds.

    Args:
        config: thresholds and targets.
        database: whose projects.
        metrics: is told of jobs.
    """

    def __init__(self, config: Config, database: Database, metrics: Metrics) -> None:
        self._config = config
        self._database = database
        self._metrics = metrics
        self._jobs: dict[str, Job] = {
            "fill": self._fill,
            "build": self._build,
            "calibrate": self._calibrate,
            "vacuum": self._vacuum,
            "drop": self._drop,
        }
        self._seen: dict[int, tuple[float, int]] = {}  # spaces without an index: when we looked, how many images

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self.once()
            except Exception:  # whatever it is, the indexes of all projects depend on this task
                logger.exception("maintenance found no work, and will look again")
            await asyncio.sleep(self._config.maintenance_interval)

    async def once(self) -> int:
        """Do what is to be done now; how many jobs that were."""
        arguments = (
            self._config.exact_threshold,
            self._config.recall_target,
            _GROWTH,
            _DEAD_SHARE,
            _LEAST_DEAD,
        )
        async with self._database.reading() as connection:
            found = await connection.fetch(statement("maintenance_due"), *arguments)
        return sum([await self._attempt(row) for row in found if not self._is_import(row)])

    def _is_import(self, due: asyncpg.Record) -> bool:
        """Whether the job is to build an index, and the project still grows so fast that this had better wait."""
        if due["job"] != "build" or due["image_count"] >= self._config.exact_threshold * _IMPATIENCE:
            return False
        now, patience = time.monotonic(), self._config.build_patience
        since, count = self._seen.setdefault(due["space_id"], (now, due["image_count"]))
        if due["idle_seconds"] >= patience:
            return False
        if now - since < patience:
            return True
        self._seen[due["space_id"]] = (now, due["image_count"])
        return bool(due["image_count"] > count * (1 + _IMPORTING))

    async def _attempt(self, due: asyncpg.Record) -> bool:
        """Do a job, unless another searcher is at it; whether it was done. A failure does not keep others waiting."""
        job = self._jobs[due["job"]]
        where = f"project {due['project']!r}, space {due['space']!r}"
        try:
            async with self._alone(due["space_id"]) as connection:
                done = connection is not None and await job(connection, due)
        except _FAILURES as error:
            self._metrics.maintenance.labels(due["job"], "failed").inc()
            logger.warning("%s: %s failed and will be tried again: %r", where, due["job"], error)
            return False
        if done:
            self._metrics.maintenance.labels(due["job"], "done").inc()
            logger.info("%s: %s done", where, due["job"])
        return done

    @asynccontextmanager
    async def _alone(self, space_id: int) -> AsyncIterator["Connection | None"]:
        """A connection for long statements while nobody else works on the space; None if somebody does.

        The lock is a transaction's, in a connection that is idle meanwhile: behind a pooler nothing else holds one. A
        builder that was killed may still be at work in PostgreSQL without it.
        """
        memory = f"SET maintenance_work_mem = '{self._config.build_memory_mb}MB'"
        settings = f"SET statement_timeout = 0; SET lock_timeout = 0; {memory}"
        async with self._database.own_connection() as lock, self._database.own_connection(settings) as connection:
            await lock.execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0")
            found = await lock.execute(statement("maintenance_lock", space_id=str(space_id)))
            try:
                yield connection if found == "SELECT 1" else None
            finally:
                with suppress(*FAILURES):  # it may have been lost meanwhile
                    await lock.execute("ROLLBACK")  # else PostgreSQL would free it a little later than we end

    async def _fill(self, _connection: Connection, due: asyncpg.Record) -> bool:
        """Fill a derived space."""
        await backfill.fill(self._database, due["project"], due["space"])
        return True

    async def _build(self, connection: Connection, due: asyncpg.Record) -> bool:
        """Build the index, and calibrate it before it is used."""
        project_id, space_id = due["project_id"], due["space_id"]
        if await index.under_construction(connection, project_id, space_id, sharded=self._database.sharded):
            return False  # by PostgreSQL for a searcher that was killed; when it is done, we find it
        if not due["complete"]:
            count = await connection.fetchval(statement("vector_count", project_id, space_id))
            if count < due["image_count"]:
                return False  # filled first, it is built much sooner
        logger.info("project %r, space %r: building the index", due["project"], due["space"])
        watch = asyncio.create_task(self._watch(due))
        try:
            await index.build(connection, project_id, space_id)
        finally:
            watch.cancel()
            await asyncio.wait({watch})
        return await self._calibrate(connection, due)

    async def _watch(self, due: asyncpg.Record) -> None:
        """Tell the metrics how far the build is, until cancelled."""
        try:
            while True:
                with suppress(DomainError):
                    async with self._database.reading() as connection:
                        found = await index.under_construction(
                            connection, due["project_id"], due["space_id"], sharded=self._database.sharded
                        )
                    self._metrics.index_progress.labels(due["project"]).set(found[0] if found else 0.0)
                await asyncio.sleep(_WATCH_SECONDS)
        finally:
            with suppress(KeyError):  # cancelled before it looked
                self._metrics.index_progress.remove(due["project"])

    async def _calibrate(self, connection: Connection, due: asyncpg.Record) -> bool:
        """Measure how deep searches must look. An index that deletions have worn out is made anew."""
        for_10, for_100 = await self._calibrated(due)
        if for_10 >= _STALE_EF_SEARCH and due["deleted_since_index"]:
            await index.rebuild(connection, due["project_id"], due["space_id"])
            await self._note("project_reindexed", due["project_id"], due["deleted_since_index"])
            for_10, for_100 = await self._calibrated(due)
        await self._note(
            "space_indexed", due["space_id"], for_10, for_100, self._config.recall_target, due["image_count"]
        )
        return True

    async def _calibrated(self, due: asyncpg.Record) -> tuple[int, int]:
        target = self._config.recall_target
        for_10, for_100 = await index.calibrate(self._database, due["project"], due["space"], target)
        logger.info("project %r: hnsw.ef_search %d for 10 hits, %d for 100", due["project"], for_10, for_100)
        return for_10, for_100

    async def _vacuum(self, connection: Connection, due: asyncpg.Record) -> bool:
        """Clean up after what was deleted: its places in tables and indexes; and count anew, should that be wrong.

        There should be no image without references, but if there is one, it goes.
        """
        async with registry.writing(self._database, due["project"]) as (writer, project):
            await writer.execute(statement("image_sweep", project.id))
            images = await writer.fetchval(statement("image_count", project.id))
            references = await writer.fetchval(statement("reference_count", project.id))
            await writer.execute(statement("project_recount"), project.id, images, references)
        for name in ("maintenance_vacuum_vectors", "maintenance_vacuum_images", "maintenance_vacuum_references"):
            await connection.execute(statement(name, due["project_id"], due["space_id"]))
        await self._note("project_vacuumed", due["project_id"], due["deleted_since_vacuum"])
        return await self._calibrate(connection, due)

    async def _drop(self, connection: Connection, due: asyncpg.Record) -> bool:
        """Do without an index again."""
        await self._note("space_unindexed", due["space_id"])
        await index.drop(connection, due["project_id"], due["space_id"])
        return True

    async def _note(self, name: str, *arguments: object) -> None:
        """Write to the registry what was done."""
        async with self._database.writing() as connection:
            await connection.execute(statement(name), *arguments)
