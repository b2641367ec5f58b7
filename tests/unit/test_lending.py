"""Which connection of a pool a call gets, and how long it waits for one."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lookalike_searcher.database.lending import Lender
from lookalike_searcher.metrics import Metrics


class Connection:
    closed = False

    def is_closed(self) -> bool:
        return self.closed


def lender(acquire: Callable[[], Awaitable[Connection]], *, seconds: float) -> Lender:
    """A lender over a pool of one connection."""

    async def release(_: Connection, *, timeout: float) -> None:
        pass

    pool = SimpleNamespace(
        get_max_size=lambda: 1, get_size=lambda: 1, get_idle_size=lambda: 0, acquire=acquire, release=release
    )
    return Lender(cast("Any", pool), seconds, Metrics())


async def test_a_connection_that_was_lost_while_it_rested_is_not_lent_again() -> None:
    opened: list[Connection] = []

    async def acquire() -> Connection:
        opened.append(Connection())
        return opened[-1]

    lent = lender(acquire, seconds=60)
    for lost in (False, True, False):
        connection = cast("Any", await lent.borrow(None, ""))
        assert connection is opened[-1]
        lent.give_back(connection, None, "")
        connection.closed = lost
    await lent.close()
    assert len(opened) == 2


async def test_a_pool_that_has_no_connection_is_waited_for_as_long_as_for_a_statement_and_holds_no_place() -> None:
    async def acquire() -> Connection:
        await asyncio.Event().wait()
        raise AssertionError

    lent = lender(acquire, seconds=0)
    for _ in range(2):  # there is one place
        with pytest.raises(TimeoutError):
            await lent.borrow(None, "")
