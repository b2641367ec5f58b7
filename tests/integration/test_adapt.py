"""Adapting a project to its shop, with made-up vectors: no photo and no model is needed."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import numpy as np
import pytest

from lookalike import Client, InvalidRequestError, NotFoundError, PreconditionError
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.config import Config
from lookalike_searcher.database.pool import Database
from lookalike_searcher.indexes.maintenance import Maintenance
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.server import running
from lookalike_serving.server import Server
from tests.command_line import CommandLine
from tests.indexer import INDEXED, Writer
from tests.integration.conftest import address
from tests.product_vectors import clusters

SPACE = "made-up-512-0123456789ab"
PRODUCTS = 60


@pytest.fixture
async def writer(searcher_channel: grpc.aio.Channel) -> AsyncIterator[Writer]:
    stub, name = SearcherServiceStub(searcher_channel), f"adapt-{uuid.uuid4().hex[:12]}"
    await stub.CreateProject(wire.CreateProjectRequest(name=name, space=SPACE))
    yield Writer(stub, name, SPACE)
    await stub.DeleteProject(wire.DeleteProjectRequest(name=name))


@pytest.fixture
async def client(searcher: Server) -> AsyncIterator[Client]:
    """Without an embedder: what is done here needs none."""
    async with Client("127.0.0.1:1", address(searcher)) as client:
        yield client


async def index(
    writer: Writer,
    vectors: np.ndarray,
    product: Callable[[int], str],
    labels: Callable[[int], dict[str, str]] = lambda _: {},
) -> None:
    requests = []
    for seed, values in enumerate(vectors):
        request = writer.request(seed, product=product(seed), labels=labels(seed), embedded=False)
        request.embedding.CopyFrom(common.Embedding(space=SPACE, values=values))
        requests.append(request)
    assert await writer.send(*requests) == [INDEXED] * len(vectors)


@pytest.fixture
async def shop(writer: Writer) -> Writer:
    """Four photos each of PRODUCTS products."""
    vectors, groups = clusters(PRODUCTS)
    await index(writer, vectors, lambda seed: f"p{groups[seed]}")
    return writer


Command = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def adapt(commands: CommandLine, searcher: Server) -> Command:
    """The command: its exit code, and what it says."""

    async def run(*arguments: str) -> tuple[int, str]:
        done = await commands.ask("adapt", *arguments, "--searcher", address(searcher))
        return done.code, " ".join((done.output + done.errors).split())

    return run


async def test_the_command_measures_publishes_fills_compares_and_cuts_over(
    shop: Writer, adapt: Command, client: Client, database: Database
) -> None:
    measured = await client.adapt(shop.project, publish=False)
    assert (measured.images, measured.products, measured.space) == (4 * PRODUCTS, PRODUCTS, "")
    assert measured.gain
    assert measured.gain.helps
    assert (measured.gain.products, measured.gain.queries) == (PRODUCTS // 3, 4 * PRODUCTS // 3)
    assert [space.name for space in (await client.get_project(shop.project)).spaces] == [SPACE]
    config = Config(data_dir=Path("unused"), maintenance_interval=0.2)
    async with running(Maintenance(config, database, Metrics()).run()):
        code, said = await adapt(shop.project)
        assert (code, "lookalike space cut-over" in said) == (0, True), said
        assert "held-out products" in said
        assert "same product" not in said, "a figure over what was learned from"
        base, own = (await client.get_project(shop.project)).spaces
        assert (base.name, base.serves, own.source, own.vector_count) == (SPACE, True, SPACE, 4 * PRODUCTS)
        assert own.name.startswith("made-up-512-adapted-")
        code, said = await adapt(shop.project, "--cut-over")  # the same again has the same name
    assert (code, f"{own.name} serves" in said) == (0, True), said
    assert (await client.get_project(shop.project)).space == own.name
    vectors, _ = clusters(PRODUCTS)
    before, after = [
        await shop.stub.Search(
            wire.SearchRequest(
                project=shop.project, embedding=common.Embedding(space=SPACE, values=vectors[8]), limit=4, space=space
            )
        )
        for space in (SPACE, "")
    ]
    right = [sum(hit.references[0].product == "p2" for hit in found.hits) for found in (before, after)]
    assert right[0] < right[1]


async def test_what_does_not_help_is_refused(writer: Writer, adapt: Command, client: Client) -> None:
    """Every photo finds those of its product already: there is nothing to gain."""
    vectors, groups = clusters(PRODUCTS, noise=0.01)
    await index(writer, vectors, lambda seed: f"p{groups[seed]}")
    code, said = await adapt(writer.project, "--cut-over")
    assert (code, "does not help" in said) == (1, True), said
    assert len((await client.get_project(writer.project)).spaces) == 1


async def test_a_label_stands_for_products_and_the_space_says_so(
    writer: Writer, adapt: Command, client: Client
) -> None:
    """Each product has one photo, and four products are of a series."""
    vectors, groups = clusters(PRODUCTS)
    await index(writer, vectors, lambda seed: f"p{seed}", lambda seed: {"series": f"s{groups[seed]}"})
    with pytest.raises(PreconditionError, match="0 products of two or more images"):
        await client.adapt(writer.project, copies=True)
    code, said = await adapt(writer.project, "--label", "series", "--tell-variants-apart", "--dry-run")
    assert (code, f"0 products of two or more images, {PRODUCTS} values of the label" in said) == (0, True), said
    done = await client.adapt(writer.project, label="series", tell_variants_apart=True)
    space = next(space for space in (await client.get_project(writer.project)).spaces if space.name == done.space)
    assert space.learning
    assert (space.learning.labels, space.learning.products) == (PRODUCTS, 0)
    assert space.learning.tells_variants_apart
    with pytest.raises(InvalidRequestError, match="label"):
        await client.adapt(writer.project, label="x" * 65)


async def test_too_few_products_are_told_and_can_be_done_without(writer: Writer, client: Client) -> None:
    vectors, groups = clusters(19)
    await index(writer, vectors, lambda seed: f"p{groups[seed]}")
    with pytest.raises(PreconditionError, match="19 products of two or more images; adapting to it needs at least 20"):
        await client.adapt(writer.project)
    done = await client.adapt(writer.project, unlabelled=True)
    assert (done.gain, done.products, done.source) == (None, 0, SPACE)
    assert done.space in {space.name for space in (await client.get_project(writer.project)).spaces}
    with pytest.raises(NotFoundError):
        [_ async for _ in client.watch_space(writer.project, SPACE)]


async def test_vectors_are_read_by_the_library(shop: Writer, client: Client) -> None:
    vectors, groups = clusters(PRODUCTS)
    read = [one async for one in client.export_vectors(shop.project)]
    assert [one.products for one in read] == [(f"p{group}",) for group in groups]
    np.testing.assert_array_equal([np.frombuffer(one.values, "<f2") for one in read], vectors.astype(np.float16))
    some = [one async for one in client.export_vectors(shop.project, fraction=0.3)]
    assert 0 < len(some) < len(read)
