"""How many searches a second several clients get together: of the searcher, and of the least that one can be."""

import asyncio
import itertools
import statistics
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import numpy as np

from lookalike_searcher.rpc import parse
from tests.bench.figures import Figure
from tests.bench.interleaving import ratio, steady_pace, take_turns
from tests.bench.minimal_searcher import Recording, relay
from tests.bench.searcher_process import Site, connected
from tests.bench.searches import Queries
from tests.bench.sql_replay import recorded

CLIENTS: Final = 8
_ROUNDS: Final = 4
_SECONDS: Final = 3.0
_WARM_UP: Final = 0.5

Ask = Callable[[int], Awaitable[Any]]
"""Searches for the query of that number, over a connection of its own."""


async def closed_loops(clients: Sequence[Ask], queries: int) -> float:
    """Answers a second to clients that each ask again as soon as they are answered."""
    answers, ended = 0, False

    async def loop(number: int) -> None:
        nonlocal answers
        for query in itertools.count(number * 37):
            await clients[number](query % queries)
            answers += 1
            if ended:
                return

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop(number)) for number in range(len(clients))]
        pace = await steady_pace(tasks, lambda: answers, _SECONDS, _WARM_UP)
        ended = True
    return pace


async def searching(stack: AsyncExitStack, address: str, queries: Queries) -> list[Ask]:
    """Clients of a searcher, or of what is called as one."""
    requests = queries.requests()
    stubs = [await stack.enter_async_context(connected(address)) for _ in range(CLIENTS)]
    return [lambda query, stub=stub: stub.Search(requests[query]) for stub in stubs]  # type: ignore[misc]


async def measure(site: Site, queries: Queries) -> list[Figure]:
    """The searcher and a bare server that sends the same SQL, by turns."""
    count, requests = len(queries.vectors), queries.requests()
    sql = await recorded(site.url, [parse.search(request)[0] for request in requests])
    recording = Recording(queries.project, sql, (await site.stub.Search(requests[0])).SerializeToString())
    used = np.zeros(3)
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(relay(site.url, recording, site.log))
        ours = await searching(stack, site.address, queries)
        theirs = await searching(stack, bare.address, queries)

        async def searcher() -> float:
            nonlocal used
            before = site.cpu()
            pace = await closed_loops(ours, count)
            used += (site.cpu() - before) / (_SECONDS + _WARM_UP) / _ROUNDS
            return pace

        parties = {"searcher": searcher, "relay": lambda: closed_loops(theirs, count)}
        paces = await take_turns(parties, _ROUNDS)
    on = (
        f"closed loops over {CLIENTS} connections, {_ROUNDS} turns of {_SECONDS:.0f} s; processors used: the clients'"
        f" one process {used[0]:.2f}, the searcher {used[1]:.2f}, PostgreSQL {used[2]:.2f}"
    )
    bare_pace = f"a bare grpc.aio server that sends this SQL: {statistics.median(paces['relay']):,.0f} a second"
    return [
        Figure("qps_8_clients", statistics.median(paces["searcher"]), on),
        Figure("qps_8_clients_over_relay", ratio(paces, "searcher", "relay"), bare_pace, least=0.6),
    ]
