"""Which processors the servers have, and which the load generator has."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_ALL: Final = tuple(sorted(os.sched_getaffinity(0)))
OURS: Final = frozenset(_ALL[-1:])
"""The generator's and the conductor's: as in production, where callers have machines of their own."""
SERVERS: Final = frozenset(_ALL[:-1]) or OURS
"""All others, in each phase: if the generator took what it needs of them, more calls would mean a smaller server."""
DESCRIBED: Final = (
    f"{len(SERVERS)} of {len(_ALL)} cores for the servers, the last one for the generator"
    if len(_ALL) > 1
    else "one core for all"
)


@contextmanager
def of_servers() -> Iterator[None]:
    """Let processes that are started in the block have the servers' cores, and this one its own again after it."""
    os.sched_setaffinity(0, SERVERS)
    try:
        yield
    finally:
        os.sched_setaffinity(0, OURS)
