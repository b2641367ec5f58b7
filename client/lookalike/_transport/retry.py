"""Try again what can be repeated while a server is away, for a bounded time."""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import grpc

from lookalike.errors import TLS_FAILED, DeadlineExceededError, LookalikeError, OverloadedError, UnavailableError

T = TypeVar("T")

RETRY_SECONDS: Final = 60.0
"""How long a server may be away, without a single answer: long enough for another one to load its model."""
NOT_SERVING_SECONDS: Final = 30.0
"""How long calls wait for a server that says that it does not serve. It is longer than two of its health probes are
apart. Once the outage has lasted so long, calls fail at once."""
_FIRST_DELAY_SECONDS: Final = 0.2
_MAX_DELAY_SECONDS: Final = 3.0
_MOST_RETRIES: Final = 10.0
_RETRIES_PER_SUCCESS: Final = 0.1
_NOT_OURS: Final = (grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED)


class Backoff:
    """The more has failed since the last progress, the longer it waits before the next attempt.

    Streams to the same servers share one: as long as any of them gets answers, the servers are not away.
    """

    def __init__(self) -> None:
        self.progress()

    def progress(self) -> None:
        """Note progress: the count of failures begins again."""
        self._attempts = 0
        self._since: float | None = None

    async def wait(self, failure: LookalikeError) -> None:
        """Wait a moment, the longer the more has failed, with jitter; or raise the failure, if it has been too long."""
        now = time.monotonic()
        self._since = self._since or now
        if now - self._since >= RETRY_SECONDS:
            raise failure
        delay = _delay(self._attempts)
        self._attempts += 1
        if isinstance(failure, OverloadedError):
            delay = max(delay, failure.retry_after or 0)
        await asyncio.sleep(delay)


class Outage:
    """An outage is a time in which a server says that it does not serve. All calls to that server share one.

    Servers that are busy may say so for a moment, all at once. A call that failed for it was sent to none of them, so
    whatever it asks can be tried again without harm.
    """

    def __init__(self) -> None:
        self._began = self._last_failure = -math.inf

    def end(self) -> None:
        """Note that the server answered."""
        self._began = self._last_failure = -math.inf

    async def wait(self, failure: LookalikeError, attempts: int, began: float, timeout: float) -> None:
        """Wait a moment before a call's next attempt, the longer the more attempts there were, with jitter.

        Args:
            failure: of the last attempt.
            attempts: how many have failed.
            began: when the first one was made, by `time.monotonic`.
            timeout: seconds that the call may take in all.

        Raises:
            LookalikeError: `failure`, if there is no time left, or the outage has lasted for `NOT_SERVING_SECONDS`.
        """
        now = time.monotonic()
        if now - self._last_failure > NOT_SERVING_SECONDS:  # nobody called meanwhile: this is another outage
            self._began = now
        self._last_failure = now
        delay = _delay(attempts - 1)
        if now + delay >= min(began + timeout, self._began + NOT_SERVING_SECONDS):
            raise _tried(failure, attempts, now - began)
        await asyncio.sleep(delay)


class RetryBudget:
    """The budget says how many calls that an overloaded server refused may be made again. All calls to it share one.

    A refused call was not executed, so it can be made again without harm to what is stored; yet if all callers did so,
    the overload would last. So for ten calls that succeed, one may be repeated, and at first `_MOST_RETRIES` may, as in
    gRPC's retry throttling (gRFC A6).
    """

    def __init__(self) -> None:
        self._retries = _MOST_RETRIES

    def succeeded(self) -> None:
        """Note that a call succeeded."""
        self._retries = min(_MOST_RETRIES, self._retries + _RETRIES_PER_SUCCESS)

    async def wait(self, failure: OverloadedError, attempts: int, began: float, timeout: float) -> None:
        """Wait for as long as the server said before a call's next attempt.

        Args:
            failure: of the last attempt.
            attempts: how many have failed.
            began: when the first one was made, by `time.monotonic`.
            timeout: seconds that the call may take in all.

        Raises:
            OverloadedError: `failure`, if the server did not say when to return, or only after the timeout, or if the
                budget is spent.
        """
        now = time.monotonic()
        delay = failure.retry_after
        if delay is None or now + delay >= began + timeout or self._retries < 1:
            raise _tried(failure, attempts, now - began) if attempts > 1 else failure
        self._retries -= 1
        await asyncio.sleep(delay)


def _tried(failure: LookalikeError, attempts: int, seconds: float) -> LookalikeError:
    """Return the failure, whose message says how often the call was tried."""
    failure.args = (f"{failure}; {attempts} attempts in {seconds:.1f} s",)
    return failure


def _delay(attempts: int) -> float:
    """Seconds to wait after so many attempts and one more."""
    delay = min(_MAX_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0**attempts)
    return delay * random.uniform(0.5, 1.0)  # noqa: S311 - nothing secret about it


def is_transient(failure: LookalikeError) -> bool:
    """Say whether the failure is transient: the same call, made again, may succeed.

    When a stream ends while a write is under way, grpc.aio may replace the status by an INTERNAL of its own
    (grpc/grpc#36066). A proxy that resets a stream makes it CANCELLED. What our servers say always has a reason.
    """
    if isinstance(failure, OverloadedError):
        return failure.retry_after is not None  # too much there, for now
    away = isinstance(failure, UnavailableError | DeadlineExceededError)
    if failure.reason == TLS_FAILED:
        return False
    return away or (failure.code in _NOT_OURS and not failure.reason)


async def with_retries(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call that can be repeated without harm, again and again while the server is away."""
    backoff = Backoff()
    while True:
        try:
            return await call()
        except LookalikeError as error:
            if not is_transient(error):
                raise
            await backoff.wait(error)
