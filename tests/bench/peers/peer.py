"""A database of others, and what is asked of it."""

import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

Ask = Callable[[int], Awaitable[Sequence[bytes]]]
"""Searches for the query of that number, over a connection of its own: the hashes of the images that are hits."""


@dataclass(frozen=True)
class Peer:
    """One that runs, and holds the dataset with URI and product of each image, which its answers bear.

    Attributes:
        how: what it is, how it is reached, and its index.
        build_seconds: from the first image sent until it is indexed.
        set_depth: lets searches from now on walk its index so deep.
        connect: a connection.
    """

    how: str
    build_seconds: float
    set_depth: Callable[[int], Awaitable[None]]
    connect: Callable[[], AbstractAsyncContextManager[Ask]]


def free_port() -> int:
    """A port that is free now, for those who cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
