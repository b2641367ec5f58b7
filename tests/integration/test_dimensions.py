"""Spaces of other dimensions than VGG16's: alone in a project, and beside one of VGG16's that serves."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import numpy as np
import pytest

from lookalike import Client, InvalidRequestError
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.backup import archive
from lookalike_searcher.backup.backup import back_up
from lookalike_searcher.backup.restore import restore
from lookalike_searcher.config import Config
from lookalike_searcher.copies.comparison_threads import ComparisonThreads
from lookalike_searcher.database.halfvec import encode
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import schema_of, statement, vectors_of
from lookalike_searcher.duplicates.duplicates import Duplicates
from lookalike_searcher.duplicates.query import DuplicateQuery
from lookalike_searcher.indexes.maintenance import Maintenance
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import registry
from lookalike_serving.server import Server
from tests.indexer import INDEXED, refused, sha256
from tests.integration.conftest import address
from tests.product_vectors import clusters

BASE, NEW = "vgg16-512", "a-newer-network"
PRODUCTS = 24
IMAGES = 4 * PRODUCTS
CONFIG = Config(data_dir=Path("unused"), exact_threshold=50, build_patience=0)


def of_dimensions(count: int, dimensions: int, seed: int = 0) -> np.ndarray:
    """Vectors of length 1."""
    raw = np.random.default_rng(seed).normal(size=(count, dimensions))
    return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True), np.float32)


@dataclass(frozen=True)
class Shop:
    """A project whose images have a vector in each of two spaces."""

    stub: SearcherServiceStub
    project: str
    vectors: dict[str, np.ndarray]

    def embedding(self, space: str, seed: int) -> common.Embedding:
        return common.Embedding(space=space, values=self.vectors[space][seed])

    def entry(self, space: str, seed: int) -> wire.ImageEntry:
        reference = wire.Reference(uri=f"{seed}.jpg", product=f"p{seed // 4}")
        return wire.ImageEntry(sha256=sha256(seed), embedding=self.embedding(space, seed), reference=reference)

    async def index(self, *entries: wire.ImageEntry) -> list[int | str]:
        async def stream() -> AsyncIterator[wire.IndexImagesRequest]:
            yield wire.IndexImagesRequest(project=self.project, entries=entries)

        [answer] = [answer async for answer in self.stub.IndexImages(stream())]
        results = answer.entries.results
        return [one.error.message if one.HasField("error") else one.indexed.status for one in results]

    async def fill(self, space: str) -> None:
        entries = [self.entry(space, seed) for seed in range(IMAGES)]
        assert await self.index(*entries) == [INDEXED] * IMAGES

    async def search(self, **fields: object) -> wire.SearchResponse:
        return await self.stub.Search(wire.SearchRequest(project=self.project, limit=4, **fields))

    async def cut_over(self, space: str) -> None:
        await self.stub.CutOverSpace(wire.CutOverSpaceRequest(project=self.project, space=space))

    async def clusters(self) -> list[set[bytes]]:
        asked = wire.FindDuplicatesRequest(project=self.project, min_similarity=0.9)
        answers = [answer async for answer in self.stub.FindDuplicates(asked)]
        return [{one.image.sha256 for one in a.cluster.images} for a in answers if a.HasField("cluster")]


@pytest.fixture(params=[384, 1024])
async def shop(request: pytest.FixtureRequest, searcher_channel: grpc.aio.Channel) -> AsyncIterator[Shop]:
    """Filled in the space of VGG16, with an empty one beside it; there, the photos of a product are near duplicates."""
    stub, name = SearcherServiceStub(searcher_channel), f"dimensions-{uuid.uuid4().hex[:12]}"
    near = np.repeat(of_dimensions(PRODUCTS, request.param), 4, axis=0) + 0.2 * of_dimensions(IMAGES, request.param, 1)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    await stub.CreateProject(wire.CreateProjectRequest(name=name, space=BASE))
    await stub.CreateSpace(wire.CreateSpaceRequest(project=name, space=NEW, dimensions=request.param))
    shop = Shop(stub, name, {BASE: clusters(PRODUCTS)[0], NEW: near})
    await shop.fill(BASE)
    yield shop
    await stub.DeleteProject(wire.DeleteProjectRequest(name=name))


async def maintained(database: Database) -> None:
    await Maintenance(CONFIG, database, Metrics()).once()


async def test_a_space_is_filled_compared_cut_over_to_searched_and_left_again(shop: Shop, database: Database) -> None:
    await shop.fill(NEW)
    compared = await shop.stub.CompareSpaces(wire.CompareSpacesRequest(project=shop.project, space=NEW, limit=3))
    assert (compared.sample_count, compared.other.same_product) == (IMAGES, 1)
    for indexed in (False, True):
        if indexed:
            await maintained(database)
        for space in (NEW, BASE):
            await shop.cut_over(space)
            for seed in (0, 50):
                found = await shop.search(embedding=shop.embedding(space, seed))
                assert found.mode == (wire.SEARCH_MODE_APPROXIMATE if indexed else wire.SEARCH_MODE_EXACT)
                assert (found.hits[0].sha256, found.space) == (sha256(seed), space)
    of_product = {sha256(seed) for seed in range(4)}
    examples = [wire.Example(embedding=shop.embedding(NEW, seed)) for seed in (0, 1)]
    others = [wire.Example(sha256=sha256(50))]
    for fields in ({"sha256": sha256(0), "rerank": 4}, {"positives": examples, "negatives": others}):
        found = await shop.search(space=NEW, **fields)
        assert {hit.sha256 for hit in found.hits} == of_product
    [base, new] = (await shop.stub.GetProject(wire.GetProjectRequest(name=shop.project))).project.spaces
    assert (base.dimensions, new.dimensions) == (512, len(shop.vectors[NEW][0]))


async def test_a_vector_of_other_dimensions_is_refused_at_every_door(shop: Shop) -> None:
    """Its space is right, its model is not."""
    dimensions = len(shop.vectors[NEW][0])
    wrong = common.Embedding(space=NEW, values=shop.vectors[BASE][1])
    told = f"embedding.values: must be {dimensions} numbers in space '{NEW}', got 512 numbers"
    entry = shop.entry(NEW, 1)
    entry.embedding.CopyFrom(wrong)
    assert await shop.index(shop.entry(NEW, 0), entry) == [INDEXED, told]
    synced = wire.SyncProductRequest(project=shop.project, product="p0", entries=[entry])
    found = await shop.search(embedding=shop.embedding(BASE, 1))
    verdict = wire.HitVerdict(sha256=found.hits[0].sha256, rank=1, verdict=wire.VERDICT_RIGHT)
    said = wire.SearchFeedback(search_id=found.search_id, query_embedding=wrong, verdicts=[verdict])
    fields = {"embedding": wrong}, {"positives": [wire.Example(embedding=wrong)]}
    asked = [wire.SearchRequest(project=shop.project, space=NEW, **one) for one in fields]
    judged = wire.RecordFeedbackRequest(project=shop.project, searches=[said])
    for call, where in (
        (shop.stub.SyncProduct(synced), ""),
        (shop.stub.RecordFeedback(judged), "searches[0].query_"),
        *((shop.stub.Search(one), "") for one in asked),
    ):
        error = await refused(call)
        assert isinstance(error, InvalidRequestError)
        assert str(error).startswith(where + told)
    judged.searches[0].query_embedding.CopyFrom(shop.embedding(NEW, 1))
    await shop.stub.RecordFeedback(judged)
    listed = await shop.stub.ListFeedback(wire.ListFeedbackRequest(project=shop.project))
    assert len(listed.feedback[0].query_embedding.values) == dimensions


async def test_duplicates_are_found_in_it(shop: Shop, database: Database) -> None:
    """By comparing all, and through the index."""
    await shop.fill(NEW)
    await shop.cut_over(NEW)
    products = [{sha256(seed) for seed in range(start, start + 4)} for start in range(0, IMAGES, 4)]
    assert await shop.clusters() == products
    await maintained(database)
    walked = Duplicates(database, ComparisonThreads(1), exact_up_to=0).find(DuplicateQuery(shop.project, 0.9))
    found = [progress.cluster async for progress in walked if progress.cluster]
    assert [{member.image.sha256 for member in cluster.members} for cluster in found] == products


async def test_a_space_is_derived_from_it(shop: Shop, searcher: Server, database: Database) -> None:
    """By `adapt`, of as many dimensions; by a matrix of one's own, of fewer."""
    await shop.fill(NEW)
    await shop.cut_over(NEW)
    dimensions = len(shop.vectors[NEW][0])
    async with Client("127.0.0.1:1", address(searcher)) as client:
        exported = [image async for image in client.export_vectors(shop.project)]
        assert [len(np.frombuffer(image.values, "<f2")) for image in exported] == [dimensions] * IMAGES
        adapted = (await client.adapt(shop.project, unlabelled=True)).space
    matrix = of_dimensions(64, dimensions, 2)
    projection = wire.Projection(source=NEW, matrix=matrix.ravel(), centre=np.zeros(dimensions))
    small = wire.CreateSpaceRequest(project=shop.project, space="small", dimensions=64, projection=projection)
    await shop.stub.CreateSpace(small)
    await maintained(database)
    spaces = (await shop.stub.GetProject(wire.GetProjectRequest(name=shop.project))).project.spaces
    assert {space.name: (space.dimensions, space.vector_count) for space in spaces} == {
        NEW: (dimensions, IMAGES),
        BASE: (512, IMAGES),
        adapted: (dimensions, IMAGES),
        "small": (64, IMAGES),
    }
    for space in (adapted, "small"):
        found = await shop.search(embedding=shop.embedding(NEW, 50), space=space, rerank=4)
        assert (found.hits[0].sha256, found.hits[0].match) == (sha256(50), wire.MATCH_NEAR_DUPLICATE)
    small.dimensions = 65
    assert list((await refused(shop.stub.CreateSpace(small))).violations) == ["dimensions"]
    small.projection.source, small.dimensions, small.space = BASE, 0, "smaller"
    assert list((await refused(shop.stub.CreateSpace(small))).violations) == ["projection.centre"]


async def test_a_query_from_before_the_space_was_made_anew_is_not_kept_for_calibrations(
    shop: Shop, database: Database
) -> None:
    kept = "SELECT count(*) FROM lookalike_recent_query WHERE space_id = $1"
    space = (await registry.get(database, shop.project)).in_space(NEW)
    for count, vectors in enumerate((shop.vectors[BASE], shop.vectors[NEW])):
        async with database.writing() as connection:
            [query] = encode(vectors[:1])
            await connection.execute(statement("query_keep"), shop.project, NEW, 0, query)
            assert await connection.fetchval(kept, space.id) == count


async def test_it_comes_back_from_a_backup(shop: Shop, database: Database, tmp_path: Path) -> None:
    await shop.fill(NEW)
    await shop.cut_over(NEW)
    await back_up(database, shop.project, tmp_path / "b")
    name = f"{shop.project}-copy"
    await restore(database, tmp_path / "b", name)
    copy = replace(shop, project=name)
    for space in (NEW, BASE):
        found = await copy.search(embedding=shop.embedding(space, 7), space=space)
        assert (found.hits[0].sha256, found.images_ranked) == (sha256(7), IMAGES)
    await shop.stub.DeleteProject(wire.DeleteProjectRequest(name=name))
    with archive.opened(tmp_path / "b") as (_, manifest):
        assert [space["dimensions"] for space in manifest.spaces] == [512, len(shop.vectors[NEW][0])]


@pytest.mark.parametrize("dimensions", [1, 4000])
async def test_the_least_and_the_most_dimensions_are_indexed_and_searched(
    searcher_channel: grpc.aio.Channel, database: Database, dimensions: int
) -> None:
    stub, name = SearcherServiceStub(searcher_channel), f"dimensions-{uuid.uuid4().hex[:12]}"
    await stub.CreateProject(wire.CreateProjectRequest(name=name, space=NEW, dimensions=dimensions))
    shop = Shop(stub, name, {NEW: of_dimensions(IMAGES, dimensions)})
    await shop.fill(NEW)
    await maintained(database)
    found = await shop.search(embedding=shop.embedding(NEW, 5))
    assert found.mode == wire.SEARCH_MODE_APPROXIMATE
    assert found.hits[0].similarity == pytest.approx(1, abs=1e-3)
    async with registry.reading(database, name) as (connection, stored):
        table = f"{schema_of(stored.id)}.{vectors_of(stored.serving.id)}"
        elsewhere = "SELECT reltoastrelid::bigint FROM pg_class WHERE oid = to_regclass($1)"
        assert await connection.fetchval(elsewhere, table) == 0, "vectors are kept outside of their rows"
    await stub.DeleteProject(wire.DeleteProjectRequest(name=name))


@pytest.mark.parametrize("dimensions", [-1, 4001])
async def test_more_dimensions_than_an_index_takes_are_refused(
    searcher_channel: grpc.aio.Channel, project: str, dimensions: int
) -> None:
    stub = SearcherServiceStub(searcher_channel)
    told = f"dimensions: must be 1 to 4000, the most that an HNSW index over halfvec takes, got {dimensions}"
    for call in (
        stub.CreateProject(wire.CreateProjectRequest(name="large", space=NEW, dimensions=dimensions)),
        stub.CreateSpace(wire.CreateSpaceRequest(project=project, space=NEW, dimensions=dimensions)),
    ):
        assert str(await refused(call)).startswith(told)
