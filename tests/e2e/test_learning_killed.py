"""Learning, and the searcher around it, killed with -9: nothing is half published, and it is learned again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import grpc
import psutil

from lookalike.adapt.choose import MIN_IMAGES
from lookalike.processes import ServerProcess, running
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.tuning import learning_process
from tests.data_dir import initialised
from tests.indexer import INDEXED, Writer, sha256
from tests.polling import until
from tests.product_vectors import clusters

SPACE = "made-up-512-0123456789ab"
_AT_ONCE = ("--maintenance-interval", "0.1", "--build-patience", "0")


@asynccontextmanager
async def searcher(data: Path, log: Path) -> AsyncIterator[tuple[ServerProcess, Writer]]:
    """A searcher as a process, and calls to it about one project."""
    with log.open("ab") as file:
        async with (
            running("lookalike_searcher", ["--port", "0", "--data-dir", str(data), *_AT_ONCE], file) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            yield server, Writer(SearcherServiceStub(channel), "shop", SPACE)


async def index(writer: Writer) -> None:
    """So many images as a project needs, of products of four."""
    await writer.stub.CreateProject(wire.CreateProjectRequest(name="shop", space=SPACE))
    requests = []
    for seed, (values, group) in enumerate(zip(*clusters(MIN_IMAGES // 4), strict=True)):
        request = writer.request(seed, product=f"p{group}", embedded=False)
        request.embedding.CopyFrom(common.Embedding(space=SPACE, values=values))
        requests.append(request)
    assert await writer.send(*requests) == [INDEXED] * MIN_IMAGES


async def held_learning(server: ServerProcess) -> psutil.Process:
    """The learning process of a searcher, stopped once it is ready: by then, it gives way to all others."""
    found: list[psutil.Process] = []

    async def learns() -> bool:
        children = psutil.Process(server.process.pid).children()
        found.extend(child for child in children if _learns(child))
        return bool(found)

    await until(learns)
    found[0].suspend()
    return found[0]


def _learns(child: psutil.Process) -> bool:
    return learning_process.__name__ in child.cmdline() and child.nice() == learning_process.NICENESS


async def tuning(writer: Writer) -> wire.Project:
    return (await writer.stub.GetProject(wire.GetProjectRequest(name="shop"))).project


async def assert_untouched(writer: Writer) -> None:
    """Nothing was published, and the project is searched as before."""
    project = await tuning(writer)
    assert [space.name for space in project.spaces] == [SPACE]
    assert (project.tuning.stage, project.tuning.step) == (wire.TUNING_STAGE_IDLE, "")
    found = await writer.stub.Search(wire.SearchRequest(project="shop", sha256=sha256(1), limit=1))
    assert found.hits[0].sha256 == sha256(1)


async def is_proposed(writer: Writer) -> bool:
    return (await tuning(writer)).tuning.stage == wire.TUNING_STAGE_PROPOSED


async def test_a_killed_searcher_takes_its_learning_along_and_a_killed_learning_nothing(tmp_path: Path) -> None:
    data, log = initialised(tmp_path / "data"), tmp_path / "log"
    async with searcher(data, log) as (server, writer):
        await index(writer)
        learning = await held_learning(server)
        server.process.kill()
        await server.process.wait()
        learning.wait(10)  # though it is stopped
    async with searcher(data, log) as (server, writer):
        await assert_untouched(writer)
        (await held_learning(server)).kill()

        async def is_told() -> bool:
            return "a step of its tuning failed and will be tried again" in log.read_text()

        await until(is_told)
        await assert_untouched(writer)
    async with searcher(data, log) as (_, writer):
        await until(partial(is_proposed, writer))
