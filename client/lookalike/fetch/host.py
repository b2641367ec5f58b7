"""Hosts: how much is asked of each at once, and which are left alone for a while because they fail."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from lookalike.fetch.fetched import Failed, Passing, Settings

_FAILURES: Final = 3
"""One after the other, with no success between them: then it is the host, and not an image."""
_FIRST_PAUSE_SECONDS: Final = 1.0
_MAX_PAUSE_SECONDS: Final = 60.0
_MAX_IDLE: Final = 10_000
"""Hosts that are remembered while nothing is asked of them."""


class Host:
    """What is known of one host."""

    def __init__(self, name: str, settings: Settings, clock: Callable[[], float]) -> None:
        self._name, self._settings, self._clock = name, settings, clock
        self.places = asyncio.Semaphore(settings.per_host)
        self.callers = 0
        self.down_until = 0.0
        self._failures = 0
        self._failing_since: float | None = None
        self._lost = False

    def check(self) -> None:
        """Raise Passing while the host is left alone, and Failed when it has failed for too long."""
        if self._lost:
            message = f"{self._name}: has failed for {self._settings.patience:.0f} s and is given up"
            raise Failed(message, reason="HOST_UNAVAILABLE")
        if self._clock() < self.down_until:
            raise Passing(f"{self._name}: is left alone for now", reason="HOST_UNAVAILABLE", asked=False)

    def failed(self, wait: float) -> None:
        """Note a failure that may pass; the host may have said for how long it wants to be left alone."""
        now = self._clock()
        self._failing_since = self._failing_since or now
        self._failures += 1
        self._lost = self._failures >= _FAILURES and now - self._failing_since >= self._settings.patience
        pause = 0.0
        if self._failures >= _FAILURES:
            pause = min(_MAX_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** (self._failures - _FAILURES))
            pause *= random.uniform(0.5, 1)  # noqa: S311 - no secret
        self.down_until = max(self.down_until, now + max(pause, wait))

    def succeeded(self) -> None:
        """Note that it answers."""
        self._failures, self._failing_since, self.down_until = 0, None, 0.0


class Hosts:
    """All hosts, by name."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._hosts: dict[str, Host] = {}

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[Host]:
        """Wait for one of the host's places, and hold it in the block. Raises as `Host.check`."""
        host = self._hosts.get(name) or self._new(name)
        host.callers += 1
        try:
            host.check()
            async with host.places:
                host.check()  # others may have failed meanwhile
                yield host
        finally:
            host.callers -= 1

    def seconds_until_up(self) -> float:
        """Until one of those that are left alone may be asked again; 0 if there are none."""
        now = self._clock()
        waits = [host.down_until - now for host in self._hosts.values() if host.down_until > now]
        return min(waits, default=0.0)

    def _new(self, name: str) -> Host:
        if len(self._hosts) >= _MAX_IDLE:
            now = self._clock()
            self._hosts = {n: host for n, host in self._hosts.items() if host.callers or host.down_until > now}
        self._hosts[name] = Host(name, self._settings, self._clock)
        return self._hosts[name]
