"""Run the background task that tunes projects, step by step.

A project goes from idle to proposed (by its policy), to building, to watching, and back to idle. One searcher at a time
works on each project. Each step is committed before the next one begins, so that another searcher can go on after a
kill, and is written to the audit log.
"""

import asyncio
import logging
import math
import socket
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

import asyncpg

from lookalike.adapt.choose import MIN_IMAGES
from lookalike.records import TuningStage
from lookalike_searcher.config import Config
from lookalike_searcher.database.connection import FAILURES
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.errors import DatabaseTimeout, DatabaseUnavailable
from lookalike_searcher.indexes.import_watch import ImportWatch
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import registry
from lookalike_searcher.tuning import state
from lookalike_searcher.tuning.learner import LearningFailed
from lookalike_searcher.tuning.load import Load
from lookalike_searcher.tuning.steps import Steps
from lookalike_serving.errors import DomainError
from lookalike_serving.security import audit

logger = logging.getLogger(__name__)

_GROWTH: Final = 1.25
"""A project's images, or searches with feedback, grow by this factor before it is learned again."""
_MIN_FEEDBACK: Final = 50
"""And at least so many searches with feedback are added."""
_AGAIN_SECONDS: Final = 600.0
"""So long after the quality was looked at, or after a step has failed, it is tried again."""
_MACHINE: Final = zlib.crc32(socket.gethostname().encode()) - 2**31
"""The machine, or container, as a number for a lock: several processes of one machine learn one after the other."""
_FAILURES: Final = (DomainError, LearningFailed, OSError, *FAILURES)


class Tuner:
    """The tuner looks for due steps every `config.maintenance_interval` seconds.

    Args:
        config: thresholds.
        database: the database whose projects are tuned.
        metrics: counts the steps.
        load: says when to wait.
    """

    def __init__(self, config: Config, database: Database, metrics: Metrics, load: Load) -> None:
        self._config = config
        self._database = database
        self._metrics = metrics
        self._load = load
        self._steps = Steps(config, database, load)
        self._imports = ImportWatch(config.build_patience)
        self._not_before: dict[int, float] = {}  # by project: when it is looked at again

    async def run(self) -> None:
        """Check for due steps at each interval, until cancelled."""
        while True:
            await asyncio.sleep(self._config.maintenance_interval)
            try:
                await self.once()
            except (DatabaseTimeout, DatabaseUnavailable) as error:
                logger.debug("tuning could not look for work, and will look again: %s", error)
            except Exception:  # of any kind: all projects depend on this task
                logger.exception("tuning found no work, and will look again")

    async def once(self) -> int:
        """Take all steps that are due now. Returns how many were taken."""
        arguments = (MIN_IMAGES, _GROWTH, _MIN_FEEDBACK, self._config.exact_threshold)
        async with self._database.reading() as connection:
            due_rows = await connection.fetch(statement("tuning_due"), *arguments)
            counts = await connection.fetch(statement("tuning_counts"))
        self._metrics.tuned_projects((row["policy"], row["stage"], row["count"]) for row in counts)
        return sum([await self._attempt(row) for row in due_rows if not self._waits(row)])

    def _waits(self, due: asyncpg.Record) -> bool:
        """Return whether a project is still being imported, or was looked at a while ago."""
        if time.monotonic() < self._not_before.get(due["project_id"], -math.inf):
            return True
        idle = due["stage"] == TuningStage.IDLE
        return idle and self._imports.is_import(due["project_id"], due["idle_seconds"], due["image_count"])

    async def _attempt(self, due: asyncpg.Record) -> bool:
        """Take the next step of a project, unless another searcher does. A failure does not stop other projects."""
        name = due["project"]
        await self._load.wait_until_low()
        try:
            async with self._alone(due["project_id"]) as alone:
                return alone and await self._step(due)
        except _FAILURES as error:
            self._metrics.tuning.labels("failed").inc()
            self._not_before[due["project_id"]] = time.monotonic() + _AGAIN_SECONDS
            logger.warning("project %r: a step of its tuning failed and will be tried again: %r", name, error)
            return False

    @asynccontextmanager
    async def _alone(self, project_id: int) -> AsyncIterator[bool]:
        """Yield whether nobody else tunes the project, nor any on this machine; keep others from both in the block."""
        async with self._database.own_connection() as lock:
            await lock.execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0")
            locked = await lock.execute(statement("tuning_lock", key=str(project_id), machine=str(_MACHINE)))
            try:
                yield locked == "SELECT 1"
            finally:
                with suppress(*FAILURES):  # the connection may be lost
                    await lock.execute("ROLLBACK")

    async def _step(self, due: asyncpg.Record) -> bool:
        project = await registry.get(self._database, due["project"])
        before = await state.read(self._database, project.id)
        if project.id != due["project_id"] or before.stage != due["stage"]:
            return False  # it has just changed
        counts = {"image_count": due["image_count"], "feedback_count": due["feedback_count"]}
        begun = replace(before, **counts) if before.stage in (TuningStage.IDLE, TuningStage.PROPOSED) else before
        after = await self._steps.take(project, begun)
        if after is None:
            if before.stage is TuningStage.WATCHING:
                self._not_before[project.id] = time.monotonic() + _AGAIN_SECONDS
            return False
        async with registry.writing(self._database, project.name) as (connection, _):
            await state.write(connection, project.id, after)
        self._metrics.tuning.labels(after.step).inc()
        audit.event(f"Tuning/{after.step}", project.name, space=after.space or before.space, detail=after.detail)
        return True
