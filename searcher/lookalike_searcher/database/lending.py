"""Lend connections of a pool, and keep those for a moment that were just given back."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from lookalike_searcher.database.admission import Admission
from lookalike_searcher.database.connection import FAILURES, NET_SECONDS, raise_translated
from lookalike_searcher.database.outage import Outage
from lookalike_searcher.errors import Overloaded
from lookalike_searcher.metrics import Metrics
from lookalike_serving.patience import PATIENCE_SECONDS
from lookalike_serving.rpc import time_remaining, time_waited

if TYPE_CHECKING:
    import asyncpg

    Lent: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

_ALL: Final = ""
"""This is no project's name: all calls share the pool's connections."""
_REST_SECONDS: Final = 1.0
"""A connection is kept from the pool for so long at most. The pool closes those that are old, or that nobody uses."""


class Lender:
    """The lender lends a pool's connections, to each project its share, and only to calls that need not wait too long.

    A connection that is given back in order rests here, and the next borrower gets it. To go through the pool each time
    takes two tasks and a timer, which was a fifteenth of the processor time of a search.

    Args:
        pool: the connections.
        seconds: the longest wait for one, once the project's share has a place.
        metrics: observes the waits.
    """

    def __init__(self, pool: "asyncpg.Pool[Any]", seconds: float, metrics: Metrics) -> None:
        self._pool, self._seconds, self._metrics = pool, seconds, metrics
        self._all = Admission(
            pool.get_max_size(), PATIENCE_SECONDS, lambda _, waiting, wait, retry: Overloaded(waiting, wait, retry)
        )
        self._resting: list[Lent] = []
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        metrics.watch_pool(pool.get_size, lambda: pool.get_idle_size() + len(self._resting))

    def check(self, admission: Admission, project_name: str) -> None:
        """Refuse a call that `borrow` would refuse. Raises QuotaExceeded, Overloaded."""
        remaining, waited = time_remaining(), time_waited()
        admission.check(project_name, remaining, waited)
        self._all.check(_ALL, remaining, waited)

    async def borrow(self, admission: Admission | None, project_name: str) -> "Lent":
        """Return a connection, when the project's share has a place, and the pool has one.

        Raises:
            QuotaExceeded: the call would wait too long for the project's share.
            Overloaded: the call would wait too long for any connection.
            Exception: asyncpg's own errors.
        """
        began = time.perf_counter()
        try:
            if admission and project_name:
                await admission.take(project_name, time_remaining(), time_waited())
            try:
                return await self._lent()
            except BaseException:
                if admission and project_name:
                    admission.give_back(project_name)
                raise
        finally:
            self._metrics.pool_wait.observe(time.perf_counter() - began)

    def give_back(
        self, connection: "Lent", admission: Admission | None, project_name: str, *, in_order: bool = True
    ) -> None:
        """Take a connection back, and the place in the project's share. Nobody waits for it.

        Args:
            connection: the connection, in which no transaction is open.
            admission: see `borrow`.
            project_name: see `borrow`.
            in_order: whether all its statements have ended well; otherwise the pool looks after it.
        """
        if in_order and not self._waiting:
            self._resting.append(connection)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(_REST_SECONDS, self._release_rested)
        else:
            self._release(connection)
        self._all.give_back(_ALL)
        if admission and project_name:
            admission.give_back(project_name)

    def do_later(self, work: Coroutine[None, None, None]) -> None:
        """Run what ends the use of a connection in the background, until `close`."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give everything back to the pool, which is about to close."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._release_rested()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _lent(self) -> "Lent":
        self._waiting += 1
        try:
            await self._all.take(_ALL, time_remaining(), time_waited())
            try:
                return self._rested() or await self._acquired()
            except BaseException:
                self._all.give_back(_ALL)
                raise
        finally:
            self._waiting -= 1

    def _rested(self) -> "Lent | None":
        while self._resting:
            connection = self._resting.pop()
            if not connection.is_closed():
                return connection
            self._release(connection)
        return None

    async def _acquired(self) -> "Lent":
        async with asyncio.timeout(self._seconds):  # the pool's own timeout needs a task
            return await self._pool.acquire()

    def _release(self, connection: "Lent") -> None:
        self.do_later(self._released(connection))

    async def _released(self, connection: "Lent") -> None:
        with suppress(*FAILURES):  # it is lost, and the pool opens another
            await self._pool.release(connection, timeout=NET_SECONDS)

    def _release_rested(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        while self._resting:
            self._release(self._resting.pop())


class Loan:
    """The context manager lends a connection while its block runs; see `Database.connection`."""

    def __init__(self, lender: Lender, outage: Outage, admission: Admission | None, project_name: str) -> None:
        self._lender, self._outage = lender, outage
        self._admission, self._project_name = admission, project_name

    async def __aenter__(self) -> "Lent":
        """Borrow a connection."""
        try:
            self._connection = await self._lender.borrow(self._admission, self._project_name)
        except Exception as error:
            raise_translated(error, self._outage)
            raise
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the connection back, and say what has failed in our errors."""
        self._lender.give_back(self._connection, self._admission, self._project_name, in_order=error is None)
        if error is None:
            self._outage.answered()
        else:
            raise_translated(error, self._outage)
