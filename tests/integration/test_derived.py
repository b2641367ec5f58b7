"""A shop's own space: derived from another one's vectors, filled in the background, searched by the source's."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import numpy as np
import pytest

from lookalike import AlreadyExistsError, InvalidRequestError, LookalikeError, NotFoundError, PreconditionError
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.config import Config
from lookalike_searcher.database.halfvec import encode_vector
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import fill
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.indexes import augmentation, backfill
from lookalike_searcher.indexes.maintenance import Maintenance
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.space_reader import SpaceReader
from lookalike_searcher.search import rank, views
from lookalike_searcher.search.query import Example, Query
from lookalike_searcher.search.types import Search
from tests.indexer import INDEXED, Writer, refused, sha256, vector
from tests.lock_holder import LockHolder

BASE, OWN = "base-512", "base-adapted-0123456789ab"
IMAGES = 24
CENTRE = (0.3 * vector(900)).astype(np.float32)
MATRIX = np.random.default_rng(5).normal(size=(512, 512)).astype(np.float32)
MATRIX[:, :256] *= 0.05  # so that neighbours in the one space are not neighbours in the other


def halved(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float32)


def projected(values: np.ndarray) -> np.ndarray:
    """The formula of the proto, on what is stored."""
    moved = (halved(values).astype(np.float64) - CENTRE) @ MATRIX.T.astype(np.float64)
    return np.asarray(moved / np.linalg.norm(moved))


def near(seed: int) -> np.ndarray:
    """A vector near an image's."""
    raw = vector(seed) + 0.1 * vector(seed + 5000)
    return np.asarray((raw / np.linalg.norm(raw)).astype(np.float32))


def derive(writer: Writer, name: str = OWN, **fields: object) -> wire.CreateSpaceRequest:
    given = {"source": BASE, "matrix": MATRIX.ravel(), "centre": CENTRE, **fields}
    return wire.CreateSpaceRequest(project=writer.project, space=name, projection=wire.Projection(**given))


@pytest.fixture
async def writer(searcher_channel: grpc.aio.Channel) -> AsyncIterator[Writer]:
    """A project of IMAGES images, four of a product."""
    stub, name = SearcherServiceStub(searcher_channel), f"derived-{uuid.uuid4().hex[:12]}"
    await stub.CreateProject(wire.CreateProjectRequest(name=name, space=BASE))
    writer = Writer(stub, name, BASE)
    await writer.send(*(writer.request(seed, product=f"p{seed // 4}") for seed in range(IMAGES)))
    yield writer
    await stub.DeleteProject(wire.DeleteProjectRequest(name=name))


async def maintained(database: Database) -> Metrics:
    metrics = Metrics()
    await Maintenance(Config(data_dir=Path("unused")), database, metrics).once()
    return metrics


@pytest.fixture
async def serving(writer: Writer, database: Database) -> Writer:
    """The same, with a derived space that is filled and serves."""
    await writer.stub.CreateSpace(derive(writer))
    await maintained(database)
    await cut_over(writer, OWN)
    return writer


async def cut_over(writer: Writer, space: str, **fields: bool) -> None:
    await writer.stub.CutOverSpace(wire.CutOverSpaceRequest(project=writer.project, space=space, **fields))


async def spaces(writer: Writer) -> list[tuple[str, str, int]]:
    found = await writer.stub.GetProject(wire.GetProjectRequest(name=writer.project))
    return [(space.name, space.source, space.vector_count) for space in found.project.spaces]


async def stored(database: Database, writer: Writer, space: str) -> dict[bytes, np.ndarray]:
    """The vectors of a space by hash, read past the searcher."""
    project = await registry.get(database, writer.project)
    sql = "SELECT sha256, vector::real[] AS numbers FROM {vectors} JOIN {schema}.image ON id = image_id"
    async with database.reading() as connection:
        rows = await connection.fetch(fill(sql, project.id, project.in_space(space).id))
    return {row["sha256"]: np.array(row["numbers"]) for row in rows}


async def assert_whole(database: Database, writer: Writer, seeds: Sequence[int]) -> None:
    """Every image has the projection of its vector, and no other image has one."""
    found = await stored(database, writer, OWN)
    assert set(found) == {sha256(seed) for seed in seeds} == set(await stored(database, writer, BASE))
    for seed in seeds:
        np.testing.assert_allclose(found[sha256(seed)], projected(vector(seed)), atol=2e-4)


async def search(writer: Writer, **fields: object) -> wire.SearchResponse:
    return await writer.stub.Search(wire.SearchRequest(project=writer.project, limit=5, **fields))


def embedding(values: np.ndarray, space: str = BASE) -> common.Embedding:
    return common.Embedding(space=space, values=values)


async def test_maintenance_fills_a_derived_space_with_what_its_source_holds(writer: Writer, database: Database) -> None:
    await writer.stub.CreateSpace(derive(writer))
    assert await spaces(writer) == [(BASE, "", IMAGES), (OWN, BASE, 0)]
    with pytest.raises(grpc.aio.AioRpcError, match="no vector in it"):
        await cut_over(writer, OWN)
    metrics = await maintained(database)
    assert metrics.maintenance.labels("fill", "done")._value.get() == 1
    assert await spaces(writer) == [(BASE, "", IMAGES), (OWN, BASE, IMAGES)]
    await assert_whole(database, writer, range(IMAGES))
    assert (await maintained(database)).maintenance.labels("fill", "done")._value.get() == 0


def drawn(seed: int, others: int, neighbours: int) -> np.ndarray:
    """A projected vector, drawn towards its nearest among so many, by how far each is above the one that follows."""
    all_projected = np.array([projected(vector(other)) for other in range(others)])
    cosines = all_projected @ all_projected[seed]
    *nearest, last = np.argsort(-cosines)[: neighbours + 2]  # itself among them
    background = max(0, cosines[last])
    total = ((cosines[nearest] - background) / (1 - background)).clip(0) ** 0.5 @ all_projected[nearest]
    return np.asarray(total / np.linalg.norm(total))


async def test_vectors_are_drawn_towards_neighbours_whenever_they_came(writer: Writer, database: Database) -> None:
    """Each image is a candidate here. One that came later is stored as it is, drawn next, and draws no earlier one."""
    await writer.stub.CreateSpace(derive(writer, neighbour_count=6))
    await maintained(database)
    await assert_whole(database, writer, range(IMAGES))
    project = await registry.get(database, writer.project)
    space = project.in_space(OWN)
    reader = SpaceReader(database, project.name, project.id, OWN, space.id)
    await augmentation.step(reader, 7)  # the searcher is killed then
    metrics = await maintained(database)
    assert metrics.maintenance.labels("augment", "done")._value.get() == 1
    await writer.send(writer.request(IMAGES, product="new"))
    found = await stored(database, writer, OWN)
    for seed in range(IMAGES):
        np.testing.assert_allclose(found[sha256(seed)], drawn(seed, IMAGES, 6), atol=1e-3)
    np.testing.assert_allclose(found[sha256(IMAGES)], projected(vector(IMAGES)), atol=2e-4)
    await maintained(database)
    later = await stored(database, writer, OWN)
    np.testing.assert_allclose(later.pop(sha256(IMAGES)), drawn(IMAGES, IMAGES + 1, 6), atol=1e-3)
    assert all((later[one] == found[one]).all() for one in later)
    assert (await maintained(database)).maintenance.labels("augment", "done")._value.get() == 0
    answer = await writer.stub.GetProject(wire.GetProjectRequest(name=writer.project))
    assert [space.neighbour_count for space in answer.project.spaces] == [0, 6]


async def test_writers_and_the_filling_together_lose_nothing(writer: Writer, database: Database) -> None:
    """Images come, one goes and one is synced between any two steps, also behind the place that is filled up to."""
    await writer.stub.CreateSpace(derive(writer))
    seed, last, kept = IMAGES, False, set(range(IMAGES))
    while not last:
        last, *_ = await asyncio.gather(
            backfill.step(database, writer.project, OWN, size=5),
            writer.send(writer.request(seed, product=f"p{seed}"), writer.request(seed + 1)),
            writer.stub.DeleteImages(wire.DeleteImagesRequest(project=writer.project, sha256s=[sha256(seed - 20)])),
        )
        kept = kept - {seed - 20} | {seed, seed + 1}
        seed += 2
    entry = wire.ImageEntry(sha256=sha256(800), embedding=embedding(vector(800)), reference=wire.Reference(uri="u"))
    await writer.stub.SyncProduct(wire.SyncProductRequest(project=writer.project, product="s", entries=[entry]))
    await assert_whole(database, writer, sorted(kept | {800}))


async def test_what_is_written_between_reading_and_storing_a_page_is_kept(
    writer: Writer, database: Database, lock_holder: LockHolder
) -> None:
    """The page was read when a writer deletes one of its images: the step must neither fail nor bring it back."""
    await writer.stub.CreateSpace(derive(writer))
    project = await registry.get(database, writer.project)
    await lock_holder.connection.execute(f"SELECT pg_advisory_lock(68771, {project.id})")
    stepping = asyncio.create_task(backfill.step(database, writer.project, OWN))
    await lock_holder.until_waiting(1)  # it has read, and waits to write
    async with database.connection() as connection:
        reference = "DELETE FROM {schema}.image_reference WHERE uri = 'https://shop/3.jpg'"
        await connection.execute(fill(reference, project.id, None))
        await connection.execute(fill("DELETE FROM {schema}.image WHERE sha256 = $1", project.id, None), sha256(3))
    await lock_holder.connection.execute(f"SELECT pg_advisory_unlock(68771, {project.id})")
    assert await stepping
    await assert_whole(database, writer, [seed for seed in range(IMAGES) if seed != 3])


async def test_filling_goes_on_where_a_searcher_was_killed(
    writer: Writer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed is not done again: a step that dies leaves its own vectors alone to be done."""
    await writer.stub.CreateSpace(derive(writer))
    assert not await backfill.step(database, writer.project, OWN, size=10)

    def killed(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(backfill, "vectors_of", killed)  # in the transaction
        with pytest.raises(asyncio.CancelledError):
            await backfill.step(database, writer.project, OWN, size=10)
    assert (await spaces(writer))[1] == (OWN, BASE, 10)
    assert not await backfill.step(database, writer.project, OWN, size=10)
    assert (await spaces(writer))[1] == (OWN, BASE, 20)
    await maintained(database)
    await assert_whole(database, writer, range(IMAGES))


async def test_vectors_of_the_source_are_projected_where_a_derived_space_is_searched(serving: Writer) -> None:
    truth = sorted(range(IMAGES), key=lambda seed: -float(projected(vector(seed)) @ projected(near(5))))[:5]
    assert truth != sorted(range(IMAGES), key=lambda seed: -float(vector(seed) @ near(5)))[:5]
    for query in (embedding(near(5)), embedding(projected(near(5)), OWN)):
        found = await search(serving, embedding=query)
        assert found.space == OWN
        assert [hit.sha256 for hit in found.hits] == [sha256(seed) for seed in truth]
        assert found.hits[0].similarity == pytest.approx(float(projected(vector(5)) @ projected(near(5))), abs=1e-3)
    assert (await search(serving, embedding=embedding(near(5)), space=BASE)).space == BASE


async def test_views_are_projected_where_a_derived_space_is_searched(serving: Writer, database: Database) -> None:
    given = tuple(Embedding(BASE, encode_vector(near(seed))) for seed in (5, 7))
    search = Search(serving.project, Query((Example(embedding=given[0]),)), limit=2, views=given)
    ranking = await rank.rank(database, views.widened(search))
    found = {hit.sha256: hit.similarity for hit in await views.candidates(database, search, ranking)}
    assert found.keys() == {sha256(seed) for seed in range(IMAGES)} - {hit.sha256 for hit in ranking.hits[:2]}
    assert found[sha256(7)] == pytest.approx(float(projected(vector(7)) @ projected(near(7))), abs=1e-3)


async def test_images_of_the_project_are_looked_up_in_the_derived_space(serving: Writer) -> None:
    truth = sorted(range(IMAGES), key=lambda seed: -float(projected(vector(seed)) @ projected(vector(7))))[:5]
    for query in ({"sha256": sha256(7)}, {"uri": "https://shop/7.jpg"}):
        assert [hit.sha256 for hit in (await search(serving, **query)).hits] == [sha256(seed) for seed in truth]


async def test_positives_and_negatives_may_mix_images_and_vectors_of_both_spaces(serving: Writer) -> None:
    positives = [
        wire.Example(sha256=sha256(1)),
        wire.Example(embedding=embedding(vector(2))),
        wire.Example(embedding=embedding(projected(vector(3)), OWN)),
    ]
    negatives = [wire.Example(embedding=embedding(vector(4)))]
    own = {seed: projected(vector(seed)) for seed in range(IMAGES)}
    wanted = 2 * (own[1] + own[2] + own[3]) / 3 - own[4]
    truth = sorted(set(range(IMAGES)) - {1}, key=lambda seed: -float(own[seed] @ wanted))[:5]
    found = await search(serving, positives=positives, negatives=negatives)
    assert [hit.sha256 for hit in found.hits] == [sha256(seed) for seed in truth]


async def test_near_duplicates_are_told_in_the_source(serving: Writer) -> None:
    """Its threshold was measured there: what is near in the derived space alone is no near duplicate."""
    assert float(near(5) @ vector(5)) > 0.98
    stretched = await search(serving, embedding=embedding(near(5)))
    assert stretched.hits[0].match == wire.MATCH_NEAR_DUPLICATE
    hidden = np.zeros(512)
    hidden[:256] = 1
    away = vector(5) + 0.8 * hidden / np.linalg.norm(hidden)
    away = (away / np.linalg.norm(away)).astype(np.float32)
    assert float(away @ vector(5)) < 0.95
    found = await search(serving, embedding=embedding(away))
    assert found.hits[0].sha256 == sha256(5)
    assert found.hits[0].match == wire.MATCH_SIMILAR
    own = await search(serving, embedding=embedding(projected(vector(5)), OWN))
    assert own.hits[0].similarity == pytest.approx(1, abs=1e-3)
    assert own.hits[0].match == wire.MATCH_SIMILAR  # as nobody knows its vector in the source
    assert (await search(serving, sha256=sha256(5))).hits[0].match == wire.MATCH_EXACT


async def test_duplicates_are_found_in_the_source(serving: Writer) -> None:
    request = serving.request(300)
    request.embedding.CopyFrom(embedding(near(5)))
    assert await serving.send(request) == [INDEXED]
    asked = wire.FindDuplicatesRequest(project=serving.project)
    clusters = [answer.cluster async for answer in serving.stub.FindDuplicates(asked) if answer.HasField("cluster")]
    [cluster] = clusters
    assert [found.image.sha256 for found in cluster.images] == [sha256(5), sha256(300)]
    assert cluster.images[1].similarity == pytest.approx(float(near(5) @ vector(5)), abs=1e-3)


async def test_writers_go_on_sending_vectors_of_the_source(serving: Writer, database: Database) -> None:
    assert await serving.send(serving.request(100, embedded=False)) == ["EMBEDDING_NEEDED"]
    assert await serving.send(serving.request(100)) == [INDEXED]
    own = serving.request(101, embedded=False)
    own.embedding.CopyFrom(embedding(projected(vector(101)), OWN))
    assert await serving.send(own) == ["WRONG_SPACE"]  # there would be no vector in the source
    asked = wire.CheckImagesRequest(project=serving.project, sha256s=[sha256(100), sha256(101)])
    assert list((await serving.stub.CheckImages(asked)).stored_sha256s) == [sha256(100)]
    await assert_whole(database, serving, [*range(IMAGES), 100])
    await cut_over(serving, BASE)  # and back, as nothing is missing in either
    assert await serving.send(serving.request(102)) == [INDEXED]
    await cut_over(serving, OWN)
    await assert_whole(database, serving, [*range(IMAGES), 100, 102])


async def test_nothing_is_embedded_again_because_the_filling_is_behind(writer: Writer, database: Database) -> None:
    await writer.stub.CreateSpace(derive(writer))
    await cut_over(writer, OWN, allow_incomplete=True)
    asked = wire.CheckImagesRequest(project=writer.project, sha256s=[sha256(3)])
    assert list((await writer.stub.CheckImages(asked)).stored_sha256s) == [sha256(3)]
    lacking = wire.ListImagesRequest(project=writer.project, missing_in_space=OWN)
    assert not (await writer.stub.ListImages(lacking)).images
    assert (await search(writer, embedding=embedding(vector(3)))).images_ranked == 0
    await maintained(database)
    assert (await search(writer, embedding=embedding(vector(3)))).images_ranked == IMAGES


async def test_spaces_are_compared_with_the_derived_one(serving: Writer) -> None:
    asked = wire.CompareSpacesRequest(project=serving.project, space=BASE, sample_size=10, limit=3)
    compared = await serving.stub.CompareSpaces(asked)
    assert (compared.sample_count, compared.serving.space, compared.other.space) == (10, OWN, BASE)


async def test_a_source_outlives_what_is_derived_from_it(serving: Writer) -> None:
    def delete(space: str) -> "grpc.aio.UnaryUnaryCall[wire.DeleteSpaceRequest, wire.DeleteSpaceResponse]":
        return serving.stub.DeleteSpace(wire.DeleteSpaceRequest(project=serving.project, space=space))

    error = await refused(delete(BASE))
    assert (error.reason, error.metadata["derived"]) == ("SPACE_HAS_DERIVED", OWN)
    assert (await refused(delete(OWN))).reason == "SPACE_SERVES"
    await cut_over(serving, BASE)
    await delete(OWN)
    assert await serving.send(serving.request(100)) == [INDEXED]
    assert await spaces(serving) == [(BASE, "", IMAGES + 1)]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"matrix": MATRIX.ravel()[:-1]}, "projection.matrix"),
        ({"matrix": ()}, "projection.matrix"),
        ({"centre": [*CENTRE, 0.0]}, "projection.matrix"),
        ({"centre": CENTRE[:256]}, "projection.centre"),
        ({"centre": ()}, "projection.centre"),
        ({"centre": np.full(512, np.nan)}, "projection.centre"),
        ({"centre": np.full(512, 0.1)}, "projection.centre"),
        ({"matrix": np.full(512 * 512, np.inf)}, "projection.matrix"),
        ({"matrix": np.zeros(512 * 512)}, "projection.matrix"),
        ({"matrix": np.tile(MATRIX[:15], (35, 1)).ravel()[: 512 * 512]}, "projection.matrix"),
        ({"source": ""}, "projection.source"),
    ],
)
async def test_a_projection_that_makes_no_space_is_refused(
    writer: Writer, fields: dict[str, object], field: str
) -> None:
    error = await refused(writer.stub.CreateSpace(derive(writer, **fields)))
    assert isinstance(error, InvalidRequestError)
    assert list(error.violations) == [field]
    assert await spaces(writer) == [(BASE, "", IMAGES)]


async def test_a_space_is_derived_once_from_one_that_is_there_and_is_not_derived(writer: Writer) -> None:
    await writer.stub.CreateSpace(derive(writer))
    expected: list[tuple[wire.CreateSpaceRequest, type[LookalikeError]]] = [
        (derive(writer), AlreadyExistsError),
        (derive(writer, "second", source="another"), NotFoundError),
        (derive(writer, "second", source=OWN), PreconditionError),
    ]
    for request, kind in expected:
        assert isinstance(await refused(writer.stub.CreateSpace(request)), kind)


async def test_a_vector_at_the_centre_is_stored_and_found(writer: Writer, database: Database) -> None:
    """It has no direction once it is centred, and must not become what no search can rank."""
    await writer.stub.CreateSpace(derive(writer, centre=halved(vector(3))))
    await maintained(database)
    await cut_over(writer, OWN)
    assert {hit.sha256 for hit in (await search(writer, sha256=sha256(3))).hits} >= {sha256(3)}
    assert np.isfinite((await stored(database, writer, OWN))[sha256(3)]).all()


async def test_matrices_of_any_scale_project_alike(writer: Writer, database: Database) -> None:
    await writer.stub.CreateSpace(derive(writer, matrix=(MATRIX * np.float32(1e37)).ravel()))
    await maintained(database)
    await assert_whole(database, writer, range(IMAGES))


async def exported(writer: Writer, **fields: object) -> list[wire.ExportVectorsResponse]:
    asked = wire.ExportVectorsRequest(project=writer.project, **fields)
    return [answer async for answer in writer.stub.ExportVectors(asked)]


async def test_vectors_are_read_with_their_products(serving: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike_searcher.images.export._BLOCK_BYTES", 7 * 1024)
    blank = serving.request(400)
    blank.embedding.featureless = True
    await serving.send(serving.request(2, uri="elsewhere", product="again"), blank)
    answers = await exported(serving)
    found = {one.sha256: one for answer in answers for one in answer.vectors}
    assert len(answers) == 4
    assert len(found) == sum(len(answer.vectors) for answer in answers) == IMAGES + 1
    assert list(found[sha256(2)].products) == ["again", "p0"]
    assert list(found[sha256(400)].products) == []
    assert [sha for sha, one in found.items() if one.featureless] == [sha256(400)]
    for seed in range(IMAGES):
        values = np.frombuffer(found[sha256(seed)].values, "<f2")
        np.testing.assert_array_equal(values, vector(seed).astype(np.float16))
    rest = await exported(serving, resume_token=answers[1].resume_token)
    assert rest == answers[2:]
    [own, *_] = await exported(serving, space=OWN)
    np.testing.assert_allclose(np.frombuffer(own.vectors[0].values, "<f2"), projected(vector(0)), atol=1e-3)


async def test_a_share_of_the_vectors_is_of_whole_products(writer: Writer) -> None:
    chosen = [one for answer in await exported(writer, fraction=0.5) for one in answer.vectors]
    products = [one.products[0] for one in chosen]
    assert 0 < len(products) < IMAGES
    assert {products.count(product) for product in products} == {4}
    everything = [one for answer in await exported(writer, fraction=1.0) for one in answer.vectors]
    assert len(everything) == IMAGES


async def test_a_resume_token_is_of_its_space_and_request(serving: Writer) -> None:
    [answer] = await exported(serving)
    for fields in ({"space": BASE}, {"fraction": 0.5}, {}):
        token = answer.resume_token if fields else "nonsense"
        with pytest.raises(grpc.aio.AioRpcError, match="resume_token"):
            await exported(serving, resume_token=token, **fields)
