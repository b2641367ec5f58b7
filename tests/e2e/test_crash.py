"""Searchers and PostgreSQL killed with -9 at random moments: what was acknowledged is there once, and work goes on."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import grpc
import pytest

from lookalike.processes import ServerProcess, running
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.database import postgres
from lookalike_searcher.database.statement import Connection, index_of
from lookalike_searcher.database.statement import fill as fill_in
from lookalike_searcher.projects import registry
from tests import supervisor
from tests.consistency import audit, indexes
from tests.data_dir import initialised
from tests.duration import LONG, SECONDS
from tests.indexer import sha256
from tests.polling import until
from tests.supervisor import connected, postmaster
from tests.traffic import SPACE, Traffic, entry, unavailable

ROUNDS = max(3, round(SECONDS / 2))
BUILDS = ("--exact-threshold", "100", "--maintenance-interval", "0.1", "--build-patience", "0")
FEW, MANY = 500, 3_000
"""Images: enough for an index at once, without a pause of the writers; and for its building to take a moment."""
_AT_ONCE = (
    "SELECT coalesce(max(builders), 0)"
    " FROM (SELECT count(*) AS builders FROM pg_stat_progress_create_index GROUP BY relid) AS of_table"
)
_TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index"
pytestmark = pytest.mark.timeout(600 + 20 * SECONDS)

Kill = Callable[[ServerProcess, Path], None]
"""Of a searcher, or of its PostgreSQL in the data directory."""


@asynccontextmanager
async def searcher(*flags: str, log: Path) -> AsyncIterator[tuple[ServerProcess, SearcherServiceStub]]:
    """A searcher as a process, and calls to it."""
    with log.open("ab") as file:
        async with (
            running("lookalike_searcher", ["--port", "0", "--probe-interval", "0.1", *flags], file) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            yield server, SearcherServiceStub(channel)


def kill_searcher(server: ServerProcess, _: Path) -> None:
    server.process.kill()


def kill_postmaster(_: ServerProcess, data: Path) -> None:
    """Its children notice, one after the other."""
    postmaster(data).kill()


def kill_postgres(_: ServerProcess, data: Path) -> None:
    supervisor.kill_postgres(data)


def kill_backend(_: ServerProcess, data: Path) -> None:
    """PostgreSQL then ends all sessions, recovers, and goes on."""
    next(child for child in postmaster(data).children() if "[local]" in " ".join(child.cmdline())).kill()


KILLS: tuple[Kill, ...] = (kill_searcher, kill_postgres, kill_postmaster)


async def serves(stub: SearcherServiceStub) -> bool:
    try:
        await stub.ListProjects(wire.ListProjectsRequest())
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return False
        raise
    return True


async def strike(traffic: Traffic, stub: SearcherServiceStub, kill: Callable[[], None], dice: random.Random) -> None:
    """Let callers work until a random moment, and then fail."""
    enough = traffic.history.acknowledged + dice.randint(5, 40)
    flow = asyncio.create_task(unavailable(traffic.flow(stub)))
    # after the crash before, a connection to PostgreSQL that was lost may end the flow sooner
    await until(lambda: asyncio.sleep(0, flow.done() or traffic.history.acknowledged >= enough))
    await asyncio.sleep(dice.uniform(0, 0.05))
    kill()
    await flow


async def check(traffic: Traffic, stub: SearcherServiceStub, data: Path) -> None:
    await traffic.check(stub)
    async with connected(data) as connection:
        await audit(connection, traffic.project)


async def test_what_was_acknowledged_before_a_crash_is_there_once_afterwards(tmp_path: Path) -> None:
    """One session of PostgreSQL is killed, which a searcher survives; then the searcher, or all of PostgreSQL."""
    dice, traffic = random.Random(1), Traffic("shop", seed=1)  # noqa: S311 - no secret
    data, log = initialised(tmp_path / "data"), tmp_path / "log"
    for number, kill in enumerate(itertools.islice(itertools.cycle(KILLS), ROUNDS)):
        async with searcher("--data-dir", str(data), log=log) as (server, stub):
            await (check(traffic, stub, data) if number else traffic.create(stub))
            await strike(traffic, stub, partial(kill_backend, server, data), dice)
            await until(partial(serves, stub))
            await strike(traffic, stub, partial(kill, server, data), dice)
            assert await server.process.wait() == (-9 if kill is kill_searcher else 1)
        traffic.history.lose()
    async with searcher("--data-dir", str(data), log=log) as (_, stub):
        await check(traffic, stub, data)


async def create(stub: SearcherServiceStub, project: str) -> None:
    await stub.CreateProject(wire.CreateProjectRequest(name=project, space=SPACE))


async def fill(stub: SearcherServiceStub, project: str, images: int) -> None:
    """Make it due for an index."""
    call = stub.IndexImages()
    for start in range(0, images, 500):
        entries = [entry((f"image/{image}", ""), image) for image in range(start, start + 500)]
        await call.write(wire.IndexImagesRequest(project=project, entries=entries))
    await call.done_writing()
    assert len([answer async for answer in call]) == images / 500


async def index_is(state: "wire.IndexState.ValueType", stub: SearcherServiceStub, project: str) -> bool:
    [space] = (await stub.GetProject(wire.GetProjectRequest(name=project))).project.spaces
    return space.index.state == state


async def is_whole(stub: SearcherServiceStub, project: str, connection: Connection) -> None:
    """Wait for the index. No other one is left, and it answers, if it is faster than an exact ranking."""
    await until(partial(index_is, wire.INDEX_STATE_READY, stub, project))
    audited = await audit(connection, project)
    assert await indexes(connection, audited) == {index_of(audited.serving.id): True}
    answer = await stub.Search(wire.SearchRequest(project=project, sha256=sha256(7), limit=3))
    assert answer.reason in (wire.SEARCH_REASON_INDEX, wire.SEARCH_REASON_BELOW_THRESHOLD)
    assert answer.hits[0].sha256 == sha256(7)


@asynccontextmanager
async def held_up(data: Path, project: str) -> AsyncIterator[None]:
    """Let nobody complete an index of the project in the block."""
    async with connected(data) as connection:
        found = await registry.read(connection, project)
        async with connection.transaction():
            await connection.execute(fill_in("LOCK TABLE {vectors} IN ROW EXCLUSIVE MODE", found.id, found.serving.id))
            yield


@asynccontextmanager
async def watched(data: Path) -> AsyncIterator[list[int]]:
    """At the end, holds the most indexes that were built at once on one table in the block."""
    most = [0]

    async def watch(connection: Connection) -> None:
        while True:
            most[0] = max(most[0], await connection.fetchval(_AT_ONCE))
            await asyncio.sleep(0.005)

    async with connected(data) as connection:
        watching = asyncio.create_task(watch(connection))
        try:
            yield most
        finally:
            watching.cancel()
            await asyncio.wait({watching})


@pytest.mark.parametrize("kill", [kill_searcher, kill_postgres] if LONG else [kill_postgres])
async def test_an_index_whose_builder_was_killed_is_built_by_the_next(kill: Kill, tmp_path: Path) -> None:
    """A killed searcher's PostgreSQL may complete it; that is also tested below, with two searchers."""
    dice = random.Random(2)  # noqa: S311 - no secret
    data, log = initialised(tmp_path / "data"), tmp_path / "log"
    async with searcher("--data-dir", str(data), *BUILDS, log=log) as (server, stub):
        await create(stub, "shop")
        async with held_up(data, "shop"):
            await fill(stub, "shop", MANY)
            await until(partial(index_is, wire.INDEX_STATE_BUILDING, stub, "shop"))
        await asyncio.sleep(dice.uniform(0, 0.2))
        kill(server, data)
        await server.process.wait()
    async with searcher("--data-dir", str(data), *BUILDS, log=log) as (server, stub), connected(data) as connection:
        await is_whole(stub, "shop", connection)


async def test_of_two_searchers_one_builds_an_index_and_the_other_finishes_when_it_is_killed(tmp_path: Path) -> None:
    """Whether PostgreSQL completes what the killed one began, or not."""
    with postgres.embedded(initialised(tmp_path)) as database:
        shared, logs = ("--database-url", database.url, *BUILDS), [tmp_path / name for name in "abc"]
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(connected(tmp_path))
            most = await stack.enter_async_context(watched(tmp_path))
            pair = {log: await stack.enter_async_context(searcher(*shared, log=log)) for log in logs[:2]}
            for project, completed in (("completed", True), ("begun-again", False)):
                [(_, stub), _] = pair.values()
                await create(stub, project)
                async with held_up(tmp_path, project):
                    await fill(stub, project, FEW)
                    await until(partial(index_is, wire.INDEX_STATE_BUILDING, stub, project))
                    [log] = [
                        log for log in pair if f"project '{project}', space '{SPACE}': building" in log.read_text()
                    ]
                    server, _ = pair.pop(log)
                    server.process.kill()
                    if not completed:
                        assert await connection.fetch(_TERMINATE)
                        await server.process.wait()
                [(_, stub)] = pair.values()
                await is_whole(stub, project, connection)
                pair[logs[2]] = await stack.enter_async_context(searcher(*shared, log=logs[2]))
            assert most == [1]
