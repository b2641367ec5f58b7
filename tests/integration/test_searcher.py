"""The searcher over a real socket and a real PostgreSQL."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from lookalike import (
    AlreadyExistsError,
    Client,
    InvalidRequestError,
    Match,
    NotFoundError,
    PreconditionError,
    errors,
)
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher import server as searcher_server
from lookalike_searcher.config import Config
from lookalike_searcher.database.pool import Database
from lookalike_searcher.images import writing
from lookalike_searcher.images.image import Entry
from lookalike_searcher.rpc import index_handler
from tests.indexer import INDEXED, UNCHANGED, Writer, refused, sha256, vector
from tests.pictures import jpeg
from tests.polling import until
from tests.refused_stream import STATUS_LOST, refused_stream


@pytest.fixture(scope="session")
def stub(searcher_channel: grpc.aio.Channel) -> SearcherServiceStub:
    return SearcherServiceStub(searcher_channel)


@pytest.fixture(scope="session")
async def space(client: Client) -> str:
    return (await client.model()).space


@pytest.fixture
def writer(stub: SearcherServiceStub, project: str, space: str) -> Writer:
    return Writer(stub, project, space)


async def test_projects_are_created_found_listed_and_deleted(client: Client, space: str) -> None:
    names = [f"t{uuid.uuid4().hex}" for _ in range(3)]
    for name in names:
        created = await client.create_project(name)
        assert (created.name, created.space, created.image_count) == (name, space, 0)
        assert await client.get_project(name) == created
    listed = [project.name async for project in client.list_projects()]
    assert set(names) <= set(listed)
    assert listed == sorted(listed)
    for name in names:
        await client.delete_project(name)
    assert not set(names) & {project.name async for project in client.list_projects()}


async def test_projects_are_listed_page_by_page(client: Client, stub: SearcherServiceStub) -> None:
    names = sorted(f"page-{uuid.uuid4().hex}" for _ in range(5))
    for name in names:
        await client.create_project(name)
    seen, token = [], ""
    while True:
        page = await stub.ListProjects(wire.ListProjectsRequest(page_size=2, page_token=token))
        assert len(page.projects) <= 2
        seen += [project.name for project in page.projects]
        if not (token := page.next_page_token):
            break
    assert [name for name in seen if name in names] == names
    for name in names:
        await client.delete_project(name)


async def test_a_name_is_taken_once(client: Client, project: str) -> None:
    with pytest.raises(AlreadyExistsError) as caught:
        await client.create_project(project)
    assert caught.value.metadata == {"project": project}


async def test_an_unknown_project_is_not_found_at_every_door(client: Client, stub: SearcherServiceStub) -> None:
    unit = common.Embedding(space="s", values=vector(1))
    for call in (
        stub.GetProject(wire.GetProjectRequest(name="nowhere")),
        stub.DeleteProject(wire.DeleteProjectRequest(name="nowhere")),
        stub.CheckImages(wire.CheckImagesRequest(project="nowhere")),
        stub.Search(wire.SearchRequest(project="nowhere", embedding=unit)),
    ):
        error = await refused(call)
        assert isinstance(error, NotFoundError)
        assert error.reason == "PROJECT_NOT_FOUND"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await Writer(stub, "nowhere", "s").send(Writer(stub, "nowhere", "s").request(1))
    assert errors.from_rpc(caught.value, "searcher").reason == "PROJECT_NOT_FOUND"


async def test_errors_carry_google_rpc_details(stub: SearcherServiceStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetProject(wire.GetProjectRequest(name="nowhere"))
    status = rpc_status.from_call(caught.value)
    info, resource = error_details_pb2.ErrorInfo(), error_details_pb2.ResourceInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(resource)
    assert (info.domain, info.reason, dict(info.metadata)) == ("lookalike", "PROJECT_NOT_FOUND", {"project": "nowhere"})
    assert (resource.resource_type, resource.resource_name) == ("lookalike.project", "nowhere")


@pytest.mark.parametrize(("seconds", "most"), [(0.05, 20), (0.0001, 300)])
async def test_images_that_take_long_are_stored_and_acknowledged_fewer_at_once(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, seconds: float, most: int
) -> None:
    """As many as take a second; the first transaction of a stream does not know yet."""
    now, sizes, store = 1000.0, list[int](), writing.store

    async def slow(database: Database, project: str, entries: Sequence[Entry], max_images: int) -> Any:  # noqa: ANN401
        nonlocal now
        sizes.append(len(entries))
        now += seconds * len(entries)
        return await store(database, project, entries, max_images)

    monkeypatch.setattr(index_handler, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(writing, "store", slow)
    assert await writer.send(*map(writer.request, range(300))) == [INDEXED] * 300
    assert sizes[0] <= 128
    assert max(sizes[1:]) <= most
    assert len(sizes) > 3 or most == 300


async def test_indexing_again_changes_nothing(writer: Writer) -> None:
    requests = [writer.request(1), writer.request(2)]
    assert await writer.send(*requests) == [INDEXED, INDEXED]
    assert await writer.send(*requests) == [UNCHANGED, UNCHANGED]
    assert await writer.counts() == (2, 2)


async def test_an_image_shown_by_many_products_is_stored_once(writer: Writer) -> None:
    requests = [writer.request(1, product=f"p{number}") for number in range(10)]
    assert await writer.send(*requests) == [INDEXED] * 10
    assert await writer.counts() == (1, 10)


async def test_labels_are_replaced(writer: Writer, client: Client) -> None:
    assert await writer.send(writer.request(1, labels={"colour": "red", "size": "m"})) == [INDEXED]
    assert await writer.send(writer.request(1, labels={"colour": "blue"})) == [INDEXED]
    hit = (await client.search(writer.project, sha256=sha256(1).hex())).hits[0]
    assert hit.references[0].labels == {"colour": "blue"}
    assert await writer.counts() == (1, 1)


async def test_a_reference_moves_to_its_new_image_and_the_old_image_goes_with_its_last_one(writer: Writer) -> None:
    await writer.send(writer.request(1, "u"), writer.request(1, "v"))
    assert await writer.send(writer.request(2, "u")) == [INDEXED]
    assert await writer.counts() == (2, 2)
    assert await writer.send(writer.request(2, "v")) == [INDEXED]
    assert await writer.counts() == (1, 2)
    checked = await writer.stub.CheckImages(
        wire.CheckImagesRequest(project=writer.project, sha256s=[sha256(1), sha256(2)])
    )
    assert list(checked.stored_sha256s) == [sha256(2)]


async def test_of_two_images_for_one_reference_in_one_stream_the_later_one_counts(writer: Writer) -> None:
    await writer.send(writer.request(1, "u"), writer.request(2, "u"), writer.request(3, "u"))
    assert await writer.counts() == (1, 1)
    checked = await writer.stub.CheckImages(
        wire.CheckImagesRequest(project=writer.project, sha256s=[sha256(number) for number in (1, 2, 3)])
    )
    assert list(checked.stored_sha256s) == [sha256(3)]


async def test_a_reference_to_a_stored_image_needs_no_vector_and_to_another_does(writer: Writer) -> None:
    assert await writer.send(writer.request(1)) == [INDEXED]
    known, unknown = writer.request(1, "again", embedded=False), writer.request(2, embedded=False)
    assert await writer.send(known, unknown) == [INDEXED, "EMBEDDING_NEEDED"]
    assert await writer.counts() == (1, 2)


async def test_bad_images_fail_alone_store_nothing_and_the_stream_goes_on(writer: Writer) -> None:
    short, foreign, nameless = writer.request(2), writer.request(3), writer.request(4)
    short.embedding.values.pop()
    foreign.embedding.space = "another-space"
    nameless.reference.uri = ""
    assert await writer.send(writer.request(1), short, foreign, nameless, writer.request(5)) == [
        INDEXED,
        "INVALID_FIELD",
        "WRONG_SPACE",
        "INVALID_FIELD",
        INDEXED,
    ]
    assert await writer.counts() == (2, 2)


async def test_a_stream_is_about_one_project(stub: SearcherServiceStub, writer: Writer) -> None:
    first, second = writer.request(1), writer.request(2)
    first.project, second.project = writer.project, "another"

    async def stream() -> AsyncIterator[wire.IndexImagesRequest]:
        yield first
        yield second

    _, refusal = await refused_stream(lambda: stub.IndexImages(stream()))
    assert isinstance(errors.from_rpc(refusal, "searcher"), InvalidRequestError)
    assert "another" in refusal.details()


async def test_search_ranks_by_cosine(writer: Writer, client: Client) -> None:
    """The same ranking and similarities as numpy's, within the precision of half floats."""
    await writer.send(*(writer.request(seed) for seed in range(200)))
    query = vector(1000)
    similarities = np.array([vector(seed) @ query for seed in range(200)])
    response = await writer.stub.Search(
        wire.SearchRequest(
            project=writer.project, embedding=common.Embedding(space=writer.space, values=query), limit=20
        )
    )
    expected = np.argsort(-similarities)[:20]
    assert [hit.sha256 for hit in response.hits] == [sha256(int(seed)) for seed in expected]
    np.testing.assert_allclose([hit.similarity for hit in response.hits], similarities[expected], atol=1e-3)
    assert response.mode == wire.SEARCH_MODE_EXACT
    assert response.images_ranked == 200


async def test_limits_are_kept(writer: Writer) -> None:
    await writer.send(*(writer.request(seed) for seed in range(30)))
    query = common.Embedding(space=writer.space, values=vector(0))
    for limit, found in ((1, 1), (0, 10), (30, 30), (1000, 30)):
        response = await writer.stub.Search(wire.SearchRequest(project=writer.project, embedding=query, limit=limit))
        assert len(response.hits) == found
    for limit in (-1, 1001):
        error = await refused(
            writer.stub.Search(wire.SearchRequest(project=writer.project, embedding=query, limit=limit))
        )
        assert isinstance(error, InvalidRequestError)
        assert error.violations == {"limit": f"limit: must be 1 to 1000, or 0 for 10, got {limit}"}


async def test_a_hit_lists_its_first_hundred_references_and_counts_all(writer: Writer, client: Client) -> None:
    await writer.send(*(writer.request(1, product=f"p{number:03}") for number in range(130)))
    hit = (await client.search(writer.project, sha256=sha256(1).hex())).hits[0]
    assert hit.reference_count == 130
    assert [reference.product for reference in hit.references] == [f"p{number:03}" for number in range(100)]


async def test_match_tells_exact_near_and_similar_apart(writer: Writer) -> None:
    await writer.send(writer.request(1), writer.request(2))
    near = vector(1) + 0.2 * vector(3)
    near /= np.linalg.norm(near)
    response = await writer.stub.Search(
        wire.SearchRequest(
            project=writer.project, embedding=common.Embedding(space=writer.space, values=near), sha256=sha256(2)
        )
    )
    assert [hit.match for hit in response.hits] == [wire.MATCH_EXACT, wire.MATCH_NEAR_DUPLICATE]
    without_hash = await writer.stub.Search(
        wire.SearchRequest(project=writer.project, embedding=common.Embedding(space=writer.space, values=vector(2)))
    )
    assert [hit.match for hit in without_hash.hits] == [wire.MATCH_NEAR_DUPLICATE, wire.MATCH_SIMILAR]


async def test_what_is_featureless_is_a_near_duplicate_of_nothing_and_says_so(writer: Writer) -> None:
    """Whoever asks, and by whatever: image 1 and 2 are blank frames, 3 a photo whose vector happens to be the same."""
    requests = [writer.request(seed) for seed in (1, 2, 3, 4)]
    for request, featureless in zip(requests, (True, True, False, False), strict=True):
        request.embedding.CopyFrom(common.Embedding(space=writer.space, values=vector(1), featureless=featureless))
    requests[3].embedding.CopyFrom(common.Embedding(space=writer.space, values=vector(4)))
    assert await writer.send(*requests) == [INDEXED] * 4

    async def matches(**query: object) -> tuple[bool, list[tuple["wire.Match.ValueType", bool]]]:
        response = await writer.stub.Search(wire.SearchRequest(project=writer.project, **query))
        by_image = {hit.sha256: (hit.match, hit.featureless) for hit in response.hits}
        return response.query_featureless, [by_image[sha256(seed)] for seed in (1, 2, 3)]

    exact, near, similar = wire.MATCH_EXACT, wire.MATCH_NEAR_DUPLICATE, wire.MATCH_SIMILAR
    blank = common.Embedding(space=writer.space, values=vector(1), featureless=True)
    asked_by_blank = (True, [(exact, True), (similar, True), (similar, False)])
    assert await matches(embedding=blank, sha256=sha256(1)) == asked_by_blank
    assert await matches(sha256=sha256(1)) == asked_by_blank
    assert await matches(uri="https://shop/1.jpg") == asked_by_blank
    assert await matches(embedding=blank) == (True, [(similar, True), (similar, True), (similar, False)])
    photo = common.Embedding(space=writer.space, values=vector(1))
    assert await matches(embedding=photo) == (False, [(similar, True), (similar, True), (near, False)])
    examples = [wire.Example(embedding=blank), wire.Example(embedding=photo)]
    assert (await matches(positives=examples))[0] is False
    assert (await matches(positives=examples[:1], negatives=[wire.Example(sha256=sha256(4))]))[0] is False
    got = [
        await writer.stub.GetImage(wire.GetImageRequest(project=writer.project, sha256=sha256(seed))) for seed in (1, 3)
    ]
    assert [answer.image.featureless for answer in got] == [True, False]


async def test_a_product_that_is_synced_keeps_what_is_featureless_apart(writer: Writer) -> None:
    blank = common.Embedding(space=writer.space, values=vector(1), featureless=True)
    entries = [
        wire.ImageEntry(sha256=sha256(seed), embedding=blank, reference=wire.Reference(uri=f"{seed}.jpg"))
        for seed in (1, 2)
    ]
    await writer.stub.SyncProduct(wire.SyncProductRequest(project=writer.project, product="p", entries=entries))
    response = await writer.stub.Search(wire.SearchRequest(project=writer.project, sha256=sha256(1)))
    assert [hit.match for hit in response.hits] == [wire.MATCH_EXACT, wire.MATCH_SIMILAR]


async def test_an_image_of_the_project_can_be_the_query(writer: Writer, client: Client) -> None:
    await writer.send(writer.request(1), writer.request(2))
    result = await client.search(writer.project, sha256=sha256(1).hex())
    assert result.hits[0].match is Match.EXACT
    assert result.hits[0].similarity == pytest.approx(1, abs=1e-5)
    with pytest.raises(NotFoundError) as caught:
        await client.search(writer.project, sha256=sha256(3).hex())
    assert caught.value.reason == "IMAGE_NOT_FOUND"


async def test_a_vector_of_another_space_or_length_is_refused(writer: Writer) -> None:
    foreign = common.Embedding(space="another-space", values=vector(1))
    error = await refused(writer.stub.Search(wire.SearchRequest(project=writer.project, embedding=foreign)))
    assert isinstance(error, PreconditionError)
    assert error.metadata == {"expected": writer.space, "found": "another-space"}
    short = common.Embedding(space=writer.space, values=vector(1)[:511])
    error = await refused(writer.stub.Search(wire.SearchRequest(project=writer.project, embedding=short)))
    assert isinstance(error, InvalidRequestError)
    assert "embedding.values" in error.violations


async def test_searching_an_empty_project_finds_nothing(client: Client, project: str) -> None:
    result = await client.search(project, image=jpeg(colour="red"))
    assert result.hits == ()
    assert result.images_ranked == 0


async def test_writers_of_one_project_do_not_disturb_each_other(writer: Writer) -> None:
    """Eight at once, over the same images and references: everything is there once, and the counts are exact."""
    batches = [
        [writer.request(seed, f"u{seed % 7}") for seed in range(start, start + 40)] for start in range(0, 80, 10)
    ]
    results = await asyncio.gather(*(writer.send(*batch) for batch in batches))
    assert all(isinstance(status, int) for result in results for status in result)
    images, references = await writer.counts()
    assert references == 7
    assert 1 <= images <= 7
    found = await writer.stub.Search(
        wire.SearchRequest(
            project=writer.project, embedding=common.Embedding(space=writer.space, values=vector(0)), limit=100
        )
    )
    assert len(found.hits) == images
    assert sum(hit.reference_count for hit in found.hits) == references


async def test_deleting_a_project_under_its_writers_ends_them_and_leaves_nothing(
    client: Client, stub: SearcherServiceStub, space: str, database: Database
) -> None:
    name = f"doomed-{uuid.uuid4().hex}"
    await client.create_project(name)
    async with database.connection() as connection:
        project_id = await connection.fetchval("SELECT id FROM lookalike_project WHERE name = $1", name)
    writer = Writer(stub, name, space)
    writers = [asyncio.create_task(writer.send(*(writer.request(seed) for seed in range(200)))) for _ in range(3)]
    await writer.send(writer.request(0))
    await client.delete_project(name)
    for result in await asyncio.gather(*writers, return_exceptions=True):
        if isinstance(result, grpc.aio.AioRpcError):  # which may replace the status if a write was under way (#36066)
            assert result.code() is grpc.StatusCode.NOT_FOUND or result.details() == STATUS_LOST
    async with database.connection() as connection:
        assert not await connection.fetchval(
            "SELECT count(*) FROM information_schema.schemata WHERE schema_name = $1", f"p{project_id}"
        )


async def test_deleting_a_project_under_its_searches_is_not_found_to_them(
    client: Client, stub: SearcherServiceStub, space: str
) -> None:
    """And no deadlock between them, and nothing internal."""
    query = common.Embedding(space=space, values=vector(0))
    codes = set()

    async def search(name: str) -> None:
        try:
            while True:
                await stub.Search(wire.SearchRequest(project=name, embedding=query))
        except grpc.aio.AioRpcError as error:
            codes.add(error.code())

    for number in range(5):
        name = f"searched-{number}-{uuid.uuid4().hex}"
        await client.create_project(name)
        await Writer(stub, name, space).send(*(Writer(stub, name, space).request(seed) for seed in range(100)))
        searches = [asyncio.create_task(search(name)) for _ in range(4)]
        await stub.Search(wire.SearchRequest(project=name, embedding=query))
        await client.delete_project(name)
        await asyncio.gather(*searches)
    assert codes == {grpc.StatusCode.NOT_FOUND}


@pytest.mark.parametrize("token", ["!", "é", "AGE=", "U2hvcA==", "====", "x" * 10_000])
async def test_a_page_token_of_somebody_elses_is_refused(stub: SearcherServiceStub, token: str) -> None:
    error = await refused(stub.ListProjects(wire.ListProjectsRequest(page_token=token)))
    assert isinstance(error, InvalidRequestError)
    assert "page_token" in error.violations


async def test_a_large_answer_lists_fewer_references_and_still_counts_all(writer: Writer) -> None:
    long = {str(number): "x" * 256 for number in range(64)}
    images = [writer.request(seed, product=f"p{number}", labels=long) for seed in range(10) for number in range(100)]
    await writer.send(*images)
    query = common.Embedding(space=writer.space, values=vector(0))
    response = await writer.stub.Search(wire.SearchRequest(project=writer.project, embedding=query))
    assert response.ByteSize() < 10 * 1024 * 1024
    assert [hit.reference_count for hit in response.hits] == [100] * 10
    assert len(response.hits[0].references) == 100
    assert len(response.hits[-1].references) == 1


async def test_a_lost_connection_to_the_database_is_unavailable_and_heals(writer: Writer, database: Database) -> None:
    """PostgreSQL ends all our sessions: what was acknowledged is stored, and the next calls work."""
    assert await writer.send(writer.request(1)) == [INDEXED]
    async with database.connection() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    codes = []
    for _ in range(10):  # as many as the pool may have dead connections, and more
        try:
            assert await writer.counts() == (1, 1)
        except grpc.aio.AioRpcError as error:
            codes.append(error.code())
    assert set(codes) <= {grpc.StatusCode.UNAVAILABLE}
    assert len(codes) < 10

    async def writes() -> bool:
        """A write takes other connections of the pool, which may be dead still."""
        try:
            return await writer.send(writer.request(2)) == [INDEXED]
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017 - either outcome is right
            return False

    await until(writes)


async def test_a_draining_searcher_acknowledges_what_it_read_and_ends_the_stream(
    writer: Writer, database: Database
) -> None:
    """What was acknowledged is stored; the stream ends with a status that says: send the rest elsewhere."""
    config = Config(data_dir=Path("unused"), port=0, grace=10)
    async with (
        searcher_server.serving(config, database) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        call = SearcherServiceStub(channel).IndexImages()
        request = writer.request(1)
        request.project = writer.project
        await call.write(request)
        acknowledged = await call.read()
        assert acknowledged.indexed.status == INDEXED
        drain = asyncio.create_task(server.__aexit__(None, None, None))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert errors.from_rpc(caught.value, "searcher").reason == "SHUTTING_DOWN"
        await drain
    assert await writer.counts() == (1, 1)


async def test_health_is_told(searcher_channel: grpc.aio.Channel) -> None:
    health = health_pb2_grpc.HealthStub(searcher_channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(service="lookalike.v1.SearcherService"))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
