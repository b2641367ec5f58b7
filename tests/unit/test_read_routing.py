"""Where a search is made, and where it is refused, with a replica and without."""

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lookalike_searcher.database.pool import Database
from lookalike_searcher.errors import DatabaseTimeout, Overloaded
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.quota import QuotaExceeded
from lookalike_searcher.search.read_routing import Reads
from lookalike_serving import rpc
from lookalike_serving.errors import DomainError

BUSY, FULL = QuotaExceeded.busy("shop", 9, 0.5, 0.5), Overloaded(9, 0.5, 0.5)


def database(refusal: DomainError | None) -> Database:
    def check_room(_: str) -> None:
        if refusal:
            raise refusal

    return cast("Database", SimpleNamespace(check_room=check_room))


def reads(primary: Database, replica: Database | None) -> Reads:
    return Reads(primary, Metrics(), cast("Any", SimpleNamespace(fresh=lambda: replica)))


@pytest.mark.parametrize("refusal", [BUSY, FULL])
def test_a_search_is_refused_where_neither_the_replica_nor_the_primary_has_room(refusal: DomainError) -> None:
    roomy, full = database(None), database(refusal)
    for primary, replica in ((roomy, full), (full, roomy), (roomy, None)):
        reads(primary, replica).check_room("shop")
    for replica in (full, None):
        with pytest.raises(type(refusal)):
            reads(full, replica).check_room("shop")


async def test_what_the_replica_refuses_is_asked_of_the_primary_only_if_there_is_time_left() -> None:
    primary, replica = database(None), database(None)
    asked: list[Database] = []

    async def question(of: Database) -> str:
        asked.append(of)
        if of is replica:
            raise DatabaseTimeout
        return "answer"

    assert await reads(primary, replica).ask(question) == "answer"
    assert asked == [replica, primary]
    token = rpc._DEADLINE.set(time.monotonic() - 1)
    with pytest.raises(DatabaseTimeout):
        await reads(primary, replica).ask(question)
    rpc._DEADLINE.reset(token)
    assert asked == [replica, primary, replica]
