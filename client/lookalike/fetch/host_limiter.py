"""Hosts: how much is asked of each at once, and which are left alone for a while because they fail."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from lookalike.fetch.types import Failed, Passing, Settings

_FAILURES: Final = 3
"""One after the other, with no success between them: then it is the host, and not an image."""
_FIRST_PAUSE_SECONDS: Final = 1.0
_MAX_PAUSE_SECONDS: Final = 60.0
_MAX_IDLE: Final = 10_000
"""Hosts that are remembered while nothing is asked of them."""


class Host:
    """What is known of one host.

    Attributes:
        places: for those who ask it for something now.
        callers: how many do, or wait to.
        gives: the URI of the last image that it gave; empty if it gave none.
    """

    def __init__(self, name: str, settings: Settings, clock: Callable[[], float]) -> None:
        self._name, self._settings, self._clock = name, settings, clock
        self.places = asyncio.Semaphore(settings.per_host)
        self.callers = 0
        self.gives = ""
        self._asked_until = self._paused_until = 0.0
        self._failures = self._pauses = 0
        self._failing_since: float | None = None
        self._lost, self._why = False, ""

    def check(self) -> None:
        """Raise Passing while the host is left alone, and Failed when it has failed for too long."""
        if self._lost:
            message = f"{self._name}: has failed for {self._settings.patience:.0f} s and is given up; last: {self._why}"
            raise Failed(message, reason="HOST_UNAVAILABLE")
        if self._clock() < self.down_until:
            raise Passing(f"{self._name}: is left alone for now", reason="HOST_UNAVAILABLE", asked=False)

    @property
    def down_until(self) -> float:
        """When it may be asked again."""
        return max(self._asked_until, self._paused_until)

    @property
    def _doubtful(self) -> bool:
        """Whether one more failure means that it is the host that fails, and not its images."""
        return self._failures >= _FAILURES - 1

    def failed(self, wait: float, why: str = "") -> bool:
        """Note a failure that may pass; the host may have said for how long it wants to be left alone.

        Returns:
            Whether it is left alone from now on: then it need not have been the image that failed.
        """
        now, self._why = self._clock(), why
        if self._failing_since is None:
            self._failing_since = now
        self._failures += 1
        self._lost = self._failures >= _FAILURES and now - self._failing_since >= self._settings.patience
        if self._failures >= _FAILURES and now >= self._paused_until:  # else it was asked before the pause began
            pause = min(_MAX_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(9, self._pauses))
            self._paused_until = now + pause * random.uniform(0.5, 1)  # noqa: S311 - no secret
            self._pauses += 1
        self._asked_until = max(self._asked_until, now + wait)
        return now < self.down_until

    async def judge(self, error: Passing, gives: Callable[[str], Awaitable[bool]], *, counts: bool = True) -> None:
        """Tell whether it is the image that fails, which the error then says, or the host, which is noted.

        A host that still gives what it gave before is well. Else a few images that always fail would look like a host
        that is down, and be waited for.

        Args:
            error: the failure.
            gives: whether the host gives what is at this URI.
            counts: whether such a failure says anything of the host.
        """
        if not error.wait and self.gives and self._doubtful and await gives(self.gives):
            self.succeeded()
        elif counts:
            error.asked = not self.failed(error.wait, str(error))

    def succeeded(self, uri: str = "") -> None:
        """Note that it answers, and what it gave. What it asked for while this was under way still holds."""
        self.gives = uri or self.gives
        self._failures, self._pauses, self._failing_since, self._paused_until = 0, 0, None, 0.0


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
