"""How many searches a second several clients get together."""

import asyncio
import itertools
import time
from contextlib import AsyncExitStack
from typing import Final

from tests.bench.figures import Figure
from tests.bench.searcher_process import Site, connected
from tests.bench.searches import Queries

_CLIENTS: Final = 8
_SECONDS: Final = 6.0
_WARM_UP: Final = 1.0


async def measure(site: Site, queries: Queries) -> list[Figure]:
    """Eight clients, each with a connection of its own, each asking again as soon as it is answered."""
    requests = queries.requests()
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        stubs = [await stack.enter_async_context(connected(site.address)) for _ in range(_CLIENTS)]
        answers = 0
        end = loop.time() + _WARM_UP + _SECONDS

        async def ask(number: int) -> None:
            nonlocal answers
            for request in itertools.islice(itertools.cycle(requests), number * 37, None):
                await stubs[number].Search(request)
                if loop.time() > end:
                    return
                answers += 1

        async with asyncio.TaskGroup() as group:
            for number in range(_CLIENTS):
                group.create_task(ask(number))
            await asyncio.sleep(_WARM_UP)
            before, cpu, began = answers, site.cpu(), time.perf_counter()
            await asyncio.sleep(_SECONDS - 0.2)
            seconds, count = time.perf_counter() - began, answers - before
            used = (site.cpu() - cpu) / seconds
    on = (
        f"closed loops over {_CLIENTS} connections for {seconds:.0f} s; processors used: the clients' one process"
        f" {used[0]:.2f}, the searcher {used[1]:.2f}, PostgreSQL {used[2]:.2f}"
    )
    return [Figure("qps_8_clients", count / seconds, on)]
