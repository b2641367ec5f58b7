"""Run the background task: it fills derived spaces, and builds, calibrates and cleans indexes.

One searcher at a time works on each space. Due work is read from the registry, and noted there after it is done. So a
searcher that is killed leaves nothing but work for the next one.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import asyncpg

from lookalike_searcher.config import Config
from lookalike_searcher.database.connection import FAILURES
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.errors import DatabaseTimeout, DatabaseUnavailable, Overloaded
from lookalike_searcher.indexes import augmentation, backfill, calibration, index
from lookalike_searcher.indexes.calibration import Calibration
from lookalike_searcher.indexes.curve import EXACT
from lookalike_searcher.indexes.import_watch import ImportWatch
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import registry
from lookalike_serving.errors import DomainError

logger = logging.getLogger(__name__)

_DEAD_SHARE: Final = 0.05
"""With this share of deleted vectors, their places in the index are cleaned: each costs a step in every search."""
_MIN_DEAD: Final = 1_000
_GROWTH: Final = 2.0
"""A project grows by this factor before its index is calibrated again."""
_WATCH_SECONDS: Final = 1.0
_STALE_EF_SEARCH: Final = 450
"""An index that must be walked so deep for ten hits is rebuilt: deletions have degraded it."""
_FAILURES: Final = (DomainError, *FAILURES)

Job = Callable[[Connection, asyncpg.Record], Awaitable[bool]]
"""Does due work on a connection for long statements. Returns whether there was something to do."""


class Maintenance:
    """The maintenance looks for due work every `config.maintenance_interval` seconds.

    Args:
        config: thresholds and targets.
        database: the database whose projects are maintained.
        metrics: counts the jobs.
    """

    def __init__(self, config: Config, database: Database, metrics: Metrics) -> None:
        self._config = config
        self._database = database
        self._metrics = metrics
        self._jobs: dict[str, Job] = {
            "fill": self._fill,
            "augment": self._augment,
            "build": self._build,
            "rebuild": self._rebuild,
            "calibrate": self._calibrate,
            "vacuum": self._vacuum,
            "drop": self._drop,
        }
        self._imports = ImportWatch(config.build_patience)  # of spaces without an index

    async def run(self) -> None:
        """Check for due work at each interval, until cancelled."""
        while True:
            try:
                await self.once()
            except (DatabaseTimeout, DatabaseUnavailable, Overloaded) as error:
                logger.debug("maintenance could not look for work, and will look again: %s", error)
            except Exception:  # of any kind: the indexes of all projects depend on this task
                logger.exception("maintenance found no work, and will look again")
            await asyncio.sleep(self._config.maintenance_interval)

    async def once(self) -> int:
        """Do all work that is due now. Returns how many jobs were done."""
        arguments = (
            self._config.exact_threshold,
            self._config.recall_target,
            _GROWTH,
            _DEAD_SHARE,
            _MIN_DEAD,
            index.HNSW_OPTIONS,
        )
        async with self._database.reading() as connection:
            due_rows = await connection.fetch(statement("maintenance_due"), *arguments)
        return sum([await self._attempt(row) for row in due_rows if not self._is_import(row)])

    def _is_import(self, due: asyncpg.Record) -> bool:
        """Return whether the job is an index build that should wait: importing is faster without an index."""
        if due["job"] != "build":
            return False
        return self._imports.is_import(due["space_id"], due["idle_seconds"], due["image_count"])

    async def _attempt(self, due: asyncpg.Record) -> bool:
        """Do a job, unless another searcher does it.

        Returns whether it was done; a failure does not stop other jobs.
        """
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
        """Yield a connection for long statements while no other searcher works on the space; None if one does.

        The lock belongs to a transaction on an idle connection, since a pooler keeps nothing else. After a kill, a
        build may still run in PostgreSQL without the lock.
        """
        memory = f"SET maintenance_work_mem = '{self._config.build_memory_mb}MB'"
        settings = f"SET statement_timeout = 0; SET lock_timeout = 0; {memory}"
        async with self._database.own_connection() as lock, self._database.own_connection(settings) as connection:
            await lock.execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0")
            locked = await lock.execute(statement("maintenance_lock", space_id=str(space_id)))
            try:
                yield connection if locked == "SELECT 1" else None
            finally:
                with suppress(*FAILURES):  # the connection may be lost
                    await lock.execute("ROLLBACK")  # otherwise PostgreSQL would release the lock a little after our end

    async def _fill(self, _connection: Connection, due: asyncpg.Record) -> bool:
        """Fill a derived space with the vectors that are left."""
        await backfill.fill(self._database, due["project"], due["space"])
        return True

    async def _augment(self, _connection: Connection, due: asyncpg.Record) -> bool:
        """Draw the vectors that are left towards their neighbours."""
        threshold = self._config.exact_threshold
        return await augmentation.augment(self._database, due["project"], due["space"], threshold)

    async def _build(self, connection: Connection, due: asyncpg.Record) -> bool:
        """Build the index, and calibrate it before it is used."""
        project_id, space_id = due["project_id"], due["space_id"]
        if await index.under_construction(connection, project_id, space_id, sharded=self._database.sharded):
            return False  # PostgreSQL still builds it for a killed searcher; we find it later
        if not due["complete"]:
            count = await connection.fetchval(statement("vector_count", project_id, space_id))
            if count < due["image_count"]:
                return False  # the index of a full space is built much faster
        logger.info("project %r, space %r: building the index", due["project"], due["space"])
        watch = asyncio.create_task(self._watch(due))
        try:
            await index.build(connection, project_id, space_id)
        finally:
            watch.cancel()
            await asyncio.wait({watch})
        await self._note("space_rebuilt", space_id, index.HNSW_OPTIONS)
        return await self._calibrate(connection, due, same_graph=False)

    async def _watch(self, due: asyncpg.Record) -> None:
        """Update the metric of the build's progress, until cancelled."""
        try:
            while True:
                with suppress(DomainError):
                    async with self._database.reading() as connection:
                        building = await index.under_construction(
                            connection, due["project_id"], due["space_id"], sharded=self._database.sharded
                        )
                    self._metrics.index_progress.labels(due["project"]).set(building[0] if building else 0.0)
                await asyncio.sleep(_WATCH_SECONDS)
        finally:
            with suppress(KeyError):  # cancelled before the first update
                self._metrics.index_progress.remove(due["project"])

    async def _rebuild(self, connection: Connection, due: asyncpg.Record) -> bool:
        """Build an index again that was built with other options. Searches use the old one meanwhile."""
        logger.info("project %r, space %r: rebuilding the index with other options", due["project"], due["space"])
        await index.set_options(connection, due["project_id"], due["space_id"])
        await self._index_again(connection, due)
        await self._note("space_rebuilt", due["space_id"], index.HNSW_OPTIONS)
        await self._keep(due, await self._measure(due), same_graph=False)
        return True

    async def _calibrate(self, connection: Connection, due: asyncpg.Record, *, same_graph: bool = True) -> bool:
        """Measure how deep searches must walk the index. An index that deletions have degraded is rebuilt."""
        measured = await self._measure(due)
        depth = measured.curves[0].rung(self._config.recall_target).ef_search
        if depth >= _STALE_EF_SEARCH and due["deleted_since_index"]:
            await self._index_again(connection, due)
            measured, same_graph = await self._measure(due), False
        await self._keep(due, measured, same_graph=same_graph)
        return True

    async def _index_again(self, connection: Connection, due: asyncpg.Record) -> None:
        """Build the index again, without what was deleted."""
        await index.rebuild(connection, due["project_id"], due["space_id"])
        await self._note("project_reindexed", due["project_id"], due["deleted_since_index"])

    async def _measure(self, due: asyncpg.Record) -> Calibration:
        return await calibration.measure(self._database, due["project"], due["space"], self._config.recall_target)

    async def _keep(self, due: asyncpg.Record, measured: Calibration, *, same_graph: bool) -> None:
        """Choose by what was measured, and store and export both."""
        target, same_graph = self._config.recall_target, same_graph and due["same_target"]
        chosen = []
        for curve, before in zip(measured.curves, (due["ef_search_10"], due["ef_search_100"]), strict=True):
            chosen.append(curve.choose(target, before=before, same_graph=same_graph))
            way = "exact ranking" if chosen[-1] == EXACT else f"hnsw.ef_search {chosen[-1]}"
            logger.info("project %r: %s for %d hits; %s", due["project"], way, curve.hit_count, curve)
        async with self._database.writing() as writer:
            await calibration.keep(writer, due["space_id"], measured)
            await writer.execute(statement("space_indexed"), due["space_id"], *chosen, target, measured.image_count)
        of_ten = measured.curves[0]
        rungs = ((rung.ef_search, rung.recall, rung.seconds) for rung in of_ten.rungs)
        self._metrics.calibrated(due["project"], rungs, of_ten.exact_seconds)

    async def _vacuum(self, connection: Connection, due: asyncpg.Record) -> bool:
        """Clean up after deletions in tables and indexes, and correct the counts if they should be wrong.

        There should be no image without references. If there is one, it is deleted.
        """
        async with registry.writing(self._database, due["project"]) as (writer, project):
            await writer.execute(statement("image_sweep", project.id))
            images = await writer.fetchval(statement("image_count", project.id))
            references = await writer.fetchval(statement("reference_count", project.id))
            await writer.execute(statement("project_recount"), project.id, images, references)
        for table in ("vectors", "images", "references", "fingerprints"):
            await connection.execute(statement(f"maintenance_vacuum_{table}", due["project_id"], due["space_id"]))
        await self._note("project_vacuumed", due["project_id"], due["deleted_since_vacuum"])
        return await self._calibrate(connection, due)

    async def _drop(self, connection: Connection, due: asyncpg.Record) -> bool:
        """Drop an index that is not needed any more."""
        await self._note("space_unindexed", due["space_id"])
        await index.drop(connection, due["project_id"], due["space_id"])
        return True

    async def _note(self, name: str, *arguments: object) -> None:
        """Note in the registry what was done."""
        async with self._database.writing() as connection:
            await connection.execute(statement(name), *arguments)
