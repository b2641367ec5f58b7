"""Many projects: what grows with their number, on one PostgreSQL: connections, searches, new projects, maintenance.

A real PostgreSQL in a temporary folder, and the searcher's own code over it, without the RPC. Projects are small and
alike. Ten of them, far apart, are searched again and again, as the few that are busy at one time; and all, each once.
The last line is JSON.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import mean, median
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


async def fill(database: Database, first: int, end: int) -> None:
    """Make the projects of these numbers, each with the same few images."""
    numbers = iter(range(first, end))

    async def make() -> None:
        for number in numbers:
            await registry.create(database, name_of(number), SPACE, registry.Limits())
            await writing.store(database, name_of(number), _ENTRIES)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(make())
    async with database.connection() as connection:
        await connection.execute("ANALYZE lookalike_project, lookalike_space, pg_class, pg_type, pg_attribute")


async def repeated(act: Callable[[int], Awaitable[object]], times: int) -> list[float]:
    """The milliseconds of each of so many calls."""
    found = []
    for number in range(times):
        began = time.perf_counter()
        await act(number)
        found.append((time.perf_counter() - began) * 1000)
    return found


async def measured_at(url: str, database: Database, count: int) -> list[Figure]:
    """What one size takes."""

    async def connect(_: int) -> None:
        async with connections.connected(url) as connection:
            await connections.prepare(connection)

    async def start(_: int) -> None:
        async with databases.connect(url, pool_size=1, command_timeout=60):
            pass

    async def search(number: int) -> None:
        example = Example(embedding=Embedding(SPACE, _VECTORS[number % _IMAGES]))
        await rank.rank(database, Search(name_of(number % count), Query((example,)), 10))

    async def create(number: int) -> None:
        await registry.create(database, f"new-{number}", SPACE, registry.Limits())

    async def list_page(_: int) -> None:
        await registry.list_after(database, name_of(count // 2), 100, ["*"])

    busy = [position * count // _BUSY for position in range(_BUSY)]
    for number in busy * 10:  # each connection of the pool meets each project
        await search(number)
    searches = await repeated(lambda number: search(busy[number % _BUSY]), 400)
    scattered = await repeated(lambda number: search(number * 7919), min(count, 2000))
    creates = await repeated(create, 20)
    for number in range(20):
        await registry.delete(database, f"new-{number}")
    maintenance = Maintenance(Config(data_dir=Path("unused")), database, Metrics())
    looks = await repeated(lambda _: maintenance.once(), 20)
    return [
        Figure(f"connect_ms.{count}", median(await repeated(connect, 20)), "a new connection, ready for searches"),
        Figure(f"start_ms.{count}", median(await repeated(start, 5)), "look at the database, migrate nothing"),
        Figure(f"search_p50_ms.{count}", median(searches), f"ten hits of {_IMAGES} images, in {_BUSY} busy projects"),
        Figure(f"search_any_p50_ms.{count}", median(scattered), "in any project, most for the first time"),
        Figure(f"create_project_ms.{count}", median(creates), "schema, tables and registry"),
        Figure(f"list_ms.{count}", median(await repeated(list_page, 20)), "a page of 100 projects"),
        Figure(f"maintenance_ms.{count}", mean(looks), "a look for work that finds none"),
        Figure(
            f"backend_mb.{count}",
            await backend_memory(database),
            "the largest process of PostgreSQL, without what all share",
        ),
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
    """Fill a database in steps, and measure after each."""
    figures: list[Figure] = []
    made = 0
    with postgres.embedded(folder) as embedded:
        async with databases.connect(embedded.url, pool_size=10, command_timeout=600) as database:
            for size in sizes:
                await fill(database, made, size)
                made = size
                figures += await measured_at(embedded.url, database, size)
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
