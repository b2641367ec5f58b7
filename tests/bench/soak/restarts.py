"""Restarts in the middle of the load, each at its time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from tests.bench.soak.servers import Site
from tests.polling import until
from tests.supervisor import SupervisedProcess, kill_postgres

GRACE_SECONDS: Final = 10.0
"""How long after a server's return calls may still find it away: what is on its way, and connections made anew."""


class Restart(NamedTuple):
    """What was done, when, and when the server was ready again."""

    name: str
    at: float
    back: float

    @property
    def end(self) -> float:
        """From then on, no call may fail."""
        return self.back + GRACE_SECONDS


async def restart_all(here: Site, began: float, seconds: float) -> list[Restart]:
    """Restart the searcher, the embedder and PostgreSQL at a quarter, half and three quarters of the time."""
    acts: Mapping[str, tuple[SupervisedProcess, Callable[[], Awaitable[None]]]] = {
        "SIGTERM searcher": (here.searcher, here.searcher.terminate),
        "kill -9 embedder": (here.embedder, here.embedder.kill),
        "kill -9 PostgreSQL": (here.searcher, lambda: _kill_postgres(here)),
    }
    restarts = []
    for number, (name, (server, act)) in enumerate(acts.items(), 1):
        await asyncio.sleep(began + seconds * number / (len(acts) + 1) - time.monotonic())
        at = time.monotonic()
        await act()
        await until(server.is_up)
        restarts.append(Restart(name, at, time.monotonic()))
        print(f"{name}: ready again after {restarts[-1].back - at:.1f} s", flush=True)
    return restarts


async def _kill_postgres(here: Site) -> None:
    """The searcher then ends by itself."""
    server = here.searcher.server
    assert server
    kill_postgres(here.data)
    await server.process.wait()
