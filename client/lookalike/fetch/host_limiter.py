"""Limit the requests to each host at once, and pause hosts that fail."""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from lookalike.fetch.types import UNRESOLVED, Failed, Settings, TransientFailure, Waiting

_FAILURES: Final = 3
"""After this many failures with no success between them, the host is taken to be down, and not its images."""
_FIRST_PAUSE_SECONDS: Final = 1.0
_MAX_PAUSE_SECONDS: Final = 60.0
_UNRESOLVED_PAUSES: Final = 5
"""A host whose address is not found is given up after so many pauses, some 10 seconds, if it never delivered."""
_REFUSED_URIS: Final = 64
"""URIs that are remembered as refused; if there are more, the host refuses all."""
_MAX_IDLE: Final = 10_000
"""Hosts that are remembered while no request to them is running."""


class Host:
    """Keep the state of one host: its free slots, its failures and its pauses.

    Attributes:
        slots: limits the requests to the host at once.
        callers: how many requests hold a slot or wait for one.
        last_uri: the URI of the last image that the host delivered; empty if there was none.
    """

    def __init__(self, name: str, settings: Settings, clock: Callable[[], float]) -> None:
        self._name, self._settings, self._clock = name, settings, clock
        self.slots = asyncio.Semaphore(settings.per_host)
        self.callers = 0
        self.last_uri = ""
        self._busy_until = self._paused_until = 0.0
        self._failures = self._pauses = 0
        self._failing_since: float | None = None
        self._given_up, self._last_error, self._last_reason = False, "", ""
        self._refused: deque[str] = deque(maxlen=_REFUSED_URIS)

    def check(self) -> None:
        """Raise TransientFailure while the host is paused, and Failed when it has failed for too long."""
        if self._given_up:
            if self._last_reason == UNRESOLVED:
                raise Failed(f"{self._name}: the host is given up: {self._last_error}", reason=UNRESOLVED)
            seconds = f"{self._settings.patience:.0f} s"
            message = f"{self._name}: the host has failed for {seconds} and is given up; last error: {self._last_error}"
            raise Failed(message, reason="HOST_UNAVAILABLE")
        if self._clock() < self.down_until:
            message = f"{self._name}: the host has failed and is paused for now; last error: {self._last_error}"
            raise TransientFailure(message, reason="HOST_UNAVAILABLE", image_failed=False)

    @property
    def down_until(self) -> float:
        """Return the time, by the clock, from which on the host may be contacted again, or is known to be given up."""
        return 0.0 if self._given_up else max(self._busy_until, self._paused_until)

    def waiting(self, now: float) -> Waiting:
        """Return for what the host's images wait at the time `now` of the clock."""
        until = datetime.now(UTC) + timedelta(seconds=self.down_until - now)
        return Waiting(self._name, self._last_error, until)

    @property
    def _is_near_limit(self) -> bool:
        """Return whether one more failure means that the host is down, and not that an image fails."""
        return self._failures >= _FAILURES - 1

    def failed(self, wait: float, why: str = "", reason: str = "") -> bool:
        """Count a transient failure of the host.

        Args:
            wait: seconds for which the host asked not to be contacted; 0 if it did not ask.
            why: the error, for messages.
            reason: the error's reason.

        Returns:
            Whether the host is paused now; then the cause need not be the image.
        """
        now, self._last_error, self._last_reason = self._clock(), why, reason
        if self._failing_since is None:
            self._failing_since = now
        self._failures += 1
        out_of_patience = self._failures >= _FAILURES and now - self._failing_since >= self._settings.patience
        is_unknown = reason == UNRESOLVED and not self.last_uri and self._pauses >= _UNRESOLVED_PAUSES
        self._given_up = out_of_patience or is_unknown
        if self._failures >= _FAILURES and now >= self._paused_until:  # else this request began before the pause
            pause = min(_MAX_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(9, self._pauses))
            self._paused_until = now + pause * random.uniform(0.5, 1)  # noqa: S311 - no secret
            self._pauses += 1
        self._busy_until = max(self._busy_until, now + wait)
        return self._given_up or now < self.down_until

    async def record_failure(
        self, error: TransientFailure, uri: str, delivers: Callable[[str], Awaitable[bool]], *, counts: bool = True
    ) -> None:
        """Decide whether the image or the host has failed: set `error.image_failed`, or count a failure of the host.

        A host that still delivers its last image is up. Without this check, a few images that always fail would look
        like a host that is down, and indexing would wait for that host. An image for which the host asks to wait is
        believed the first time: the host limits all requests. The second time, the host is asked for its last image.

        Args:
            error: the failure.
            uri: the URI of the image.
            delivers: a function that tells whether the host delivers the image at a URI.
            counts: whether this kind of failure says anything about the host.
        """
        is_doubtful = uri in self._refused if error.wait else self._is_near_limit
        if error.wait and uri not in self._refused:
            self._refused.append(uri)
        if is_doubtful and self.last_uri and self._clock() >= self.down_until and await delivers(self.last_uri):
            self.succeeded()
        elif counts:
            error.image_failed = not self.failed(error.wait, str(error), error.reason)

    def succeeded(self, uri: str = "") -> None:
        """Note a success and the URI that was delivered. A wait that the host asked for meanwhile still holds."""
        self.last_uri = uri or self.last_uri
        self._failures, self._pauses, self._failing_since, self._paused_until = 0, 0, None, 0.0


class HostLimiter:
    """Keep the state of all hosts by name, and give out their slots."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._hosts: dict[str, Host] = {}

    @asynccontextmanager
    async def slot(self, name: str) -> AsyncIterator[Host]:
        """Wait for one of the host's slots, and hold it during the block. Raises as `Host.check`."""
        host = self._hosts.get(name) or self._new(name)
        host.callers += 1
        try:
            host.check()
            async with host.slots:
                host.check()  # other requests may have failed meanwhile
                yield host
        finally:
            host.callers -= 1

    def seconds_until_up(self) -> float:
        """Return the seconds until the first paused host may be contacted again; 0 if no host is paused."""
        now = self._clock()
        waits = [host.down_until - now for host in self._hosts.values() if host.down_until > now]
        return min(waits, default=0.0)

    def waiting(self) -> list[Waiting]:
        """Return which hosts are paused, and until when."""
        now = self._clock()
        return [host.waiting(now) for host in self._hosts.values() if host.down_until > now]

    def _new(self, name: str) -> Host:
        if len(self._hosts) >= _MAX_IDLE:
            now = self._clock()
            self._hosts = {n: host for n, host in self._hosts.items() if host.callers or host.down_until > now}
        self._hosts[name] = Host(name, self._settings, self._clock)
        return self._hosts[name]
