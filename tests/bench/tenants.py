"""Many projects: what grows with their number, on one PostgreSQL: connections, searches, new projects, maintenance.

A real PostgreSQL for each number of projects, in a temporary folder, and the searcher's own code over it, without the
RPC. Projects are small and alike. Ten of them, far apart, are searched again and again, as the few that are busy at one
time, after many have been searched once. The last line is JSON.
"""

import argparse
import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import psutil

from lookalike_searcher.config import Config
from lookalike_searcher.database import connection as connections
from lookalike_searcher.database import pool as databases
from lookalike_searcher.database import postgres
from lookalike_searcher.database.halfvec import encode
from lookalike_searcher.database.pool import Database
from lookalike_searcher.images import writing
from lookalike_searcher.images.image import Embedding, Entry, Reference
from lookalike_searcher.indexes.maintenance import Maintenance
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Limits
from lookalike_searcher.search import rank
from lookalike_searcher.search.query import Example, Query
from lookalike_searcher.search.types import Search
from tests.bench.figures import Figure, show
from tests.bench.scratch import run
from tests.indexer import sha256, vector

SPACE: Final = "space"
_IMAGES: Final = 10
_BUSY: Final = 10
_AT_ONCE: Final = 4
_MET: Final = 2_000
_ROUNDS: Final = 12
_NAMES: Final = (
    "connect_ms_at_10000",
    "search_p50_ms_at_10000_over_10",
    "create_project_ms_at_10000",
    "maintenance_cpu_share",
)
_VECTORS: Final = encode(np.stack([vector(seed) for seed in range(_IMAGES)]))
_ENTRIES: Final = [
    Entry(sha256(seed), (Embedding(SPACE, data),), 4, 3, Reference(f"https://shop/{seed}", "", "", False, {}))
    for seed, data in enumerate(_VECTORS)
]


def name_of(number: int) -> str:
    """A project."""
    return f"tenant-{number:06}"


async def fill(database: Database, count: int) -> None:
    """Make so many projects, each with the same few images."""
    numbers = iter(range(count))

    async def make() -> None:
        for number in numbers:
            await registry.create(database, name_of(number), SPACE, Limits())
            await writing.store(database, name_of(number), _ENTRIES)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(make())
    async with database.connection() as connection:
        await connection.execute("ANALYZE lookalike_project, lookalike_space, pg_class, pg_type, pg_attribute")


@dataclass(frozen=True)
class Filled:
    """A database with so many projects, and the milliseconds of what was done there."""

    count: int
    url: str
    database: Database
    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    async def connect(self, _: int) -> None:
        async with connections.connected(self.url) as connection:
            await connections.prepare(connection)

    async def start(self, _: int) -> None:
        async with databases.connect(self.url, pool_size=1, command_timeout=60):
            pass

    async def search(self, number: int) -> None:
        """Search in one of all projects."""
        example = Example(embedding=Embedding(SPACE, _VECTORS[number % _IMAGES]))
        await rank.rank(self.database, Search(name_of(number % self.count), Query((example,)), 10))

    async def search_busy(self, number: int) -> None:
        """Search in one of the few projects that are busy."""
        await self.search(number % _BUSY * self.count // _BUSY)

    async def create(self, number: int) -> None:
        await registry.create(self.database, f"new-{number}", SPACE, Limits())

    async def delete(self, number: int) -> None:
        await registry.delete(self.database, f"new-{number}")

    async def list_page(self, _: int) -> None:
        await registry.list_after(self.database, name_of(self.count // 2), 100, ["*"])

    @cached_property
    def maintenance(self) -> Maintenance:
        return Maintenance(Config(data_dir=Path("unused")), self.database, Metrics())

    async def look(self, _: int) -> None:
        await self.maintenance.once()

    async def meet_projects(self) -> None:
        """Search so often that the connections of the pool are as those of a searcher that has served for long."""
        for number in range(min(self.count, _MET)):
            await self.search(number * 7919)
        for number in range(_BUSY * 20):
            await self.search_busy(number)

    async def turn(self) -> None:
        """Do each thing some times."""
        for name, act, times in (
            ("search_p50_ms", self.search_busy, 40),
            ("connect_ms", self.connect, 3),
            ("start_ms", self.start, 2),
            ("create_project_ms", self.create, 3),
            ("delete_project_ms", self.delete, 3),
            ("list_ms", self.list_page, 3),
            ("maintenance_ms", self.look, 3),
        ):
            for number in range(times):
                began = time.perf_counter()
                await act(number)
                self.took[name].append((time.perf_counter() - began) * 1000)

    async def figures(self) -> list[Figure]:
        """What was found."""
        details = {
            "connect_ms": "a new connection, ready for searches",
            "start_ms": "look at the database, migrate nothing",
            "search_p50_ms": f"ten hits of {_IMAGES} images, in {_BUSY} busy projects",
            "create_project_ms": "schema, tables and registry",
            "delete_project_ms": "the same, undone",
            "list_ms": "a page of 100 projects",
            "maintenance_ms": "a look for work that finds none",
        }
        memory = await backend_memory(self.database)
        return [
            *(Figure(f"{name}.{self.count}", median(self.took[name]), detail) for name, detail in details.items()),
            Figure(f"backend_mb.{self.count}", memory, "the largest process of PostgreSQL, without what all share"),
        ]


async def backend_memory(database: Database) -> float:
    """The most MiB that a process has for itself that answers the pool."""
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
    return max(psutil.Process(row["pid"]).memory_full_info().uss for row in rows) / 2**20


def bounds(found: dict[str, float], least: int, most: int) -> list[Figure]:
    """The figures that were asked for: the largest size beside the smallest."""
    interval = Config.maintenance_interval
    share = found[f"maintenance_ms.{most}"] / 1000 / interval
    ratio = found[f"search_p50_ms.{most}"] / found[f"search_p50_ms.{least}"]

    def at_most_three_times(name: str) -> Figure:
        bound = 3 * found[f"{name}.{least}"]
        return Figure(
            f"{name}_at_{most}", found[f"{name}.{most}"], f"at most three times that at {least:,}", most=bound
        )

    return [
        at_most_three_times("connect_ms"),
        Figure(f"search_p50_ms_at_{most}_over_{least}", ratio, "busy projects among so many", most=1.3),
        at_most_three_times("create_project_ms"),
        Figure("maintenance_cpu_share", share, f"of a core, a look each {interval:g} s, {most:,} projects", most=0.02),
    ]


async def measure(sizes: Sequence[int], folder: Path) -> list[Figure]:
    """Fill a database of each size, and measure in all of them by turns, so that the machine's other work meets all."""
    async with AsyncExitStack() as stack:
        filled = []
        for size in sizes:
            embedded = stack.enter_context(postgres.embedded(folder / str(size)))
            connecting = databases.connect(embedded.url, pool_size=10, command_timeout=600)
            filled.append(Filled(size, embedded.url, await stack.enter_async_context(connecting)))
            await fill(filled[-1].database, size)
            await filled[-1].meet_projects()
        for _ in range(_ROUNDS):
            for one in filled:
                await one.turn()
        figures = [figure for one in filled for figure in await one.figures()]
    found = {figure.name: figure.value or 0.0 for figure in figures}
    return [*bounds(found, sizes[0], sizes[-1]), *figures]


def main() -> None:
    """Measure, print a table, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 1_000, 10_000], help="numbers of projects, rising")
    options = parser.parse_args()
    found = run(lambda folder, _: measure(options.sizes, folder))
    show(f"One PostgreSQL with {', '.join(f'{size:,}' for size in options.sizes)} projects", _NAMES, found)


if __name__ == "__main__":
    main()
