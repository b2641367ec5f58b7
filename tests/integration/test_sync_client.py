"""The client for code without an event loop, and clients that outlive one, over real servers."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lookalike import Client, Item, NotFoundError, Status, SyncClient
from lookalike_serving.server import Server
from tests.pictures import jpeg
from tests.threads import in_a_thread


@pytest.fixture
def blocking(quick_embedder: Server, searcher: Server) -> Iterator[SyncClient]:
    with SyncClient(f"127.0.0.1:{quick_embedder.port}", f"127.0.0.1:{searcher.port}") as client:
        yield client


@in_a_thread
def test_what_is_indexed_is_found(blocking: SyncClient, quick_project: str) -> None:
    items = [Item(image=jpeg(64 + number), uri=f"https://shop/{number}") for number in range(20)]
    outcomes = list(blocking.index(quick_project, items))
    assert [outcome.status for outcome in outcomes] == [Status.INDEXED] * len(items)
    assert blocking.search(quick_project, image=jpeg(64)).hits
    assert len(list(blocking.list_images(quick_project))) == len(items)
    with pytest.raises(NotFoundError, match="does not exist"):
        blocking.get_project("nobody")


@in_a_thread
def test_it_is_used_from_several_threads(blocking: SyncClient, quick_project: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        names = threads.map(lambda _: blocking.get_project(quick_project).name, range(64))
        assert set(names) == {quick_project}


@in_a_thread
def test_whoever_leaves_a_stream_early_leaves_nothing_under_way(blocking: SyncClient, quick_project: str) -> None:
    begun: list[int] = []

    def endless() -> Iterator[Item]:
        number = 0
        while True:
            begun.append(number)
            yield Item(image=jpeg(64 + number % 50), uri=f"https://shop/{number}")
            number += 1

    outcomes = blocking.index(quick_project, endless())
    next(outcomes)
    outcomes.close()
    blocking.close()  # ends what is under way
    seen = len(begun)
    assert len(begun) == seen


@in_a_thread
def test_a_client_at_the_module_level_outlives_asyncio_run(
    quick_embedder: Server, searcher: Server, quick_project: str
) -> None:
    client = Client(f"127.0.0.1:{quick_embedder.port}", f"127.0.0.1:{searcher.port}")
    for _ in range(3):
        assert asyncio.run(client.get_project(quick_project)).name == quick_project
