"""Token buckets: so many a second, and some at once."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

BURST_SECONDS: Final = 2.0
"""So much of a rate may be saved up, so that a page that makes ten searches at once is served."""
_MAX_BUCKETS: Final = 10_000


@dataclass
class _Bucket:
    """What may be done at once, as of a time."""

    tokens: float
    updated: float


class Buckets(Generic[Key]):
    """A bucket for each key, of a bounded number of keys."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[Key, _Bucket] = {}

    def take(self, key: Key, rate: float) -> float:
        """Do one thing, of `rate` a second. Returns 0 if that is allowed now, else the seconds until it is."""
        now, most = self._clock(), max(1.0, rate * BURST_SECONDS)
        bucket = self._buckets.get(key) or _Bucket(most, now)
        tokens = min(most, bucket.tokens + (now - bucket.updated) * rate)
        if tokens < 1:
            return (1 - tokens) / rate
        if len(self._buckets) >= _MAX_BUCKETS:  # those that nobody has used lately are full again
            del self._buckets[min(self._buckets, key=lambda key: self._buckets[key].updated)]
        self._buckets[key] = _Bucket(tokens - 1, now)
        return 0.0
