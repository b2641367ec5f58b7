"""Probe a server's health, and tell an outage from slowness."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import grpc

from lookalike_serving.errors import DomainError, StatusTable

logger = logging.getLogger(__name__)

SLOW_IN_A_ROW: Final = 3
"""This many slow probes in a row are an outage. A busy pod misses one or two, and so do all other pods at the same
time: to take them all out of service would turn slowness into an outage."""
_SLICES: Final = 10
_SLOW_CODES: Final = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
"""An overloaded server answers with these codes. It still does its work."""


class HealthProbe:
    """The probe does a small piece of real work at regular intervals, and judges the server by the result.

    A probe that fails is an outage at once. A slow probe is not; `SLOW_IN_A_ROW` of them are. A probe is slow if it has
    not ended after one interval, or if it ended with a timeout or an overload. A probe that hangs counts as slow once
    for each interval, and no second probe starts beside it.

    Args:
        probe: does the work, and raises if it fails.
        table: the status codes of the server's errors.
        interval: seconds between two probes, and seconds after which a probe is slow.
        tell: is told whether the server is healthy, after each probe and after each interval of a slow one.
    """

    def __init__(
        self, probe: Callable[[], Awaitable[None]], table: StatusTable, interval: float, tell: Callable[[bool], None]
    ) -> None:
        self._probe, self._table, self._interval, self._tell = probe, table, interval, tell
        self._healthy = True
        self._slow = 0

    async def run(self) -> None:
        """Probe at each interval until this task is cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            probe = asyncio.ensure_future(self._probe())
            try:
                while not await _ended_within(probe, self._interval):
                    self._judge(TimeoutError(f"no answer in {self._interval:g} s"))
                self._judge(probe.exception())
            finally:
                probe.cancel()

    def _judge(self, failure: BaseException | None) -> None:
        is_slow = failure is not None and self._is_slow(failure)
        self._slow = self._slow + 1 if is_slow else 0
        healthy = self._healthy if 0 < self._slow < SLOW_IN_A_ROW else failure is None
        if healthy and is_slow:
            logger.warning("the health probe is slow, %d of %d in a row: %r", self._slow, SLOW_IN_A_ROW, failure)
        elif not healthy and self._healthy:
            logger.error("not serving: the health probe failed: %r", failure)
        elif healthy and not self._healthy:
            logger.info("serving again")
        self._healthy = healthy
        self._tell(healthy)

    def _is_slow(self, failure: BaseException) -> bool:
        if isinstance(failure, DomainError):
            return self._table.code(failure) in _SLOW_CODES
        return isinstance(failure, TimeoutError)


async def _ended_within(probe: "asyncio.Future[None]", seconds: float) -> bool:
    """Return whether the probe ends within so many seconds, counting only time in which the event loop runs.

    While the loop is blocked, neither the probe nor its answer makes progress, so that time proves nothing. The seconds
    are counted in slices. A slice counts once, however late the loop wakes from it.
    """
    for _ in range(_SLICES):
        await asyncio.wait({probe}, timeout=seconds / _SLICES)
        if probe.done():
            return True
    return False
