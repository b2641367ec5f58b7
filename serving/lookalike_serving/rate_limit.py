"""Limit rates by token buckets: so many requests a second, and a burst at once."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

BURST_SECONDS: Final = 2.0
"""A key may save up the tokens of so many seconds, so that a page with ten searches at once is served."""
_MAX_BUCKETS: Final = 10_000


@dataclass
class _Bucket:
    """The tokens of one key at a point in time."""

    tokens: float
    updated: float


class Buckets(Generic[Key]):
    """Each key has a bucket of its own, and the number of keys is bounded."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[Key, _Bucket] = {}

    def take(self, key: Key, rate: float) -> float:
        """Take one token, of `rate` a second. Returns 0 if there is one, else the seconds until there is."""
        now, capacity = self._clock(), max(1.0, rate * BURST_SECONDS)
        bucket = self._buckets.get(key) or _Bucket(capacity, now)
        tokens = min(capacity, bucket.tokens + (now - bucket.updated) * rate)
        if tokens < 1:
            return (1 - tokens) / rate
        if len(self._buckets) >= _MAX_BUCKETS:  # the bucket that was used longest ago is the fullest
            del self._buckets[min(self._buckets, key=lambda key: self._buckets[key].updated)]
        self._buckets[key] = _Bucket(tokens - 1, now)
        return 0.0
