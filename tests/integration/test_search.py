"""Searching: filters, pages, groups, examples, batches, limits; exactly and through the index."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from lookalike import Client, InvalidRequestError
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.config import Config
from lookalike_searcher.database.halfvec import encode_vector
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.images.filter import Filter
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.indexes.maintenance import Maintenance
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import registry
from lookalike_searcher.rpc import parse
from lookalike_searcher.search import rank, views, way
from lookalike_searcher.search.query import Example, Query
from lookalike_searcher.search.recall import Recall
from lookalike_searcher.search.types import Reason, Search
from tests.indexer import INDEXED, Writer, refused, sha256, vector
from tests.polling import until

IMAGES = 900
CONFIG = Config(data_dir=Path("unused"), exact_threshold=200, build_patience=0, recall_target=0.99)
COLOURS = ("red", "green", "blue")


@pytest.fixture(scope="session")
def stub(searcher_channel: grpc.aio.Channel) -> SearcherServiceStub:
    return SearcherServiceStub(searcher_channel)


@pytest.fixture(scope="session")
async def space(client: Client) -> str:
    return (await client.model()).space


async def catalogue(stub: SearcherServiceStub, name: str, space: str) -> Writer:
    """A project of images, three to a product, with labels; every ninth is staged."""
    await stub.CreateProject(wire.CreateProjectRequest(name=name, space=space))
    writer = Writer(stub, name, space)
    requests = [
        writer.request(
            seed,
            f"https://shop/{seed % 10}/{seed}.jpg",
            product=f"p{seed // 3}",
            variant=f"v{seed % 2}",
            staged=seed % 9 == 0,
            labels={"colour": COLOURS[seed % 3], "rare": str(seed // 100)},
        )
        for seed in range(IMAGES)
    ]
    assert await writer.send(*requests) == [INDEXED] * IMAGES
    return writer


@pytest.fixture(scope="module")
async def indexed(stub: SearcherServiceStub, space: str, database: Database) -> AsyncIterator[Writer]:
    """A project with an index."""
    writer = await catalogue(stub, f"indexed-{uuid.uuid4().hex[:12]}", space)
    await Maintenance(CONFIG, database, Metrics()).once()
    yield writer
    await stub.DeleteProject(wire.DeleteProjectRequest(name=writer.project))


@pytest.fixture(scope="module")
async def exact(stub: SearcherServiceStub, space: str, indexed: Writer) -> AsyncIterator[Writer]:
    """The same without an index: made after the maintenance, which would have given it one."""
    writer = await catalogue(stub, f"exact-{uuid.uuid4().hex[:12]}", space)
    yield writer
    await stub.DeleteProject(wire.DeleteProjectRequest(name=writer.project))


@pytest.fixture(params=["exact", "indexed", "indexed, filter not selective"])
def shop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, exact: Writer, indexed: Writer) -> Writer:
    """One after the other: every promise holds in each way of ranking."""
    if request.param.endswith("selective"):
        monkeypatch.setattr(way, "SELECTIVE", 0)
    return exact if request.param == "exact" else indexed


QUERY = vector(5000)


def half(raw: np.ndarray) -> np.ndarray:
    """As it is stored."""
    rounded = raw.astype(np.float16).astype(np.float64)
    return np.asarray(rounded / np.linalg.norm(rounded))


SIMILARITIES = np.array([half(vector(seed)) @ half(QUERY) for seed in range(IMAGES)])
RANKED = [int(seed) for seed in np.argsort(-SIMILARITIES)]


async def ask(writer: Writer, **fields: object) -> wire.SearchResponse:
    query = {"embedding": common.Embedding(space=writer.space, values=QUERY)}
    response = await writer.stub.Search(wire.SearchRequest(project=writer.project, **(query | fields)))
    assert isinstance(response, wire.SearchResponse)
    return response


def seeds(response: wire.SearchResponse) -> list[int]:
    numbers = {sha256(seed): seed for seed in range(IMAGES)}
    return [numbers[hit.sha256] for hit in response.hits]


def agree(found: list[int], expected: list[int], least: float = 0.9) -> None:
    """As many as exist, and nearly all the right ones: of random vectors an index misses some."""
    assert len(found) == len(set(found)) == len(expected)
    assert len(set(found) & set(expected)) >= least * len(expected)


async def test_an_answer_says_how_it_was_made(
    exact: Writer, indexed: Writer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = await ask(exact)
    assert (response.mode, response.images_ranked) == (wire.SEARCH_MODE_EXACT, IMAGES)
    assert response.reason == wire.SEARCH_REASON_BELOW_THRESHOLD
    wanted = Search(exact.project, query_of(exact), 10)
    assert (await rank.rank(database, wanted, exact_threshold=IMAGES)).reason is Reason.INDEX_BUILDING
    assert response.space == exact.space
    response = await ask(indexed)
    assert (response.mode, response.images_ranked) == (wire.SEARCH_MODE_APPROXIMATE, IMAGES)
    assert response.reason == wire.SEARCH_REASON_INDEX
    agree(seeds(response), RANKED[:10])
    response = await ask(indexed, exact=True)
    assert response.mode == wire.SEARCH_MODE_EXACT
    assert response.reason == wire.SEARCH_REASON_ASKED
    assert seeds(response) == RANKED[:10]
    response = await ask(indexed, limit=20, filter=wire.Filter(variants=["v1"]))
    assert response.reason == wire.SEARCH_REASON_FILTER
    monkeypatch.setattr(way, "SELECTIVE", 0)
    deep = {"limit": 20, "filter": wire.Filter(variants=["v1"])}
    later = await ask(indexed, page_token=response.next_page_token, **deep)
    assert later.reason == wire.SEARCH_REASON_EARLIER_PAGE
    response = await ask(indexed, limit=1000)  # the index finds at most 1,000, of which one says that there are more
    assert (response.mode, response.reason) == (wire.SEARCH_MODE_EXACT, wire.SEARCH_REASON_FELL_BACK)


@pytest.mark.parametrize(
    ("chosen", "passes"),
    [
        (wire.Filter(products=["p7", "p250", "nothing"]), lambda seed: seed // 3 in (7, 250)),
        (wire.Filter(variants=["v1"]), lambda seed: seed % 2 == 1),
        (wire.Filter(staged=True), lambda seed: seed % 9 == 0),
        (wire.Filter(staged=False), lambda seed: seed % 9 != 0),
        (wire.Filter(uri_prefix="https://shop/3/"), lambda seed: seed % 10 == 3),
        (wire.Filter(uri_prefix="https://shop/%"), lambda _: False),
        (
            wire.Filter(
                labels=[
                    wire.LabelGroup(any_of=[wire.Label(name="colour", value=value) for value in ("red", "blue")]),
                    wire.LabelGroup(any_of=[wire.Label(name="rare", value="4")]),
                ]
            ),
            lambda seed: seed % 3 != 1 and seed // 100 == 4,
        ),
        (wire.Filter(products=["p7"], variants=["v0"], staged=False), lambda seed: seed == 22),
    ],
)
@pytest.mark.parametrize("limit", [5, 200])
async def test_a_filter_yields_as_many_as_exist_up_to_the_limit(
    shop: Writer, chosen: wire.Filter, passes: Callable[[int], bool], limit: int
) -> None:
    expected = [seed for seed in RANKED if passes(seed)][:limit]
    response = await ask(shop, filter=chosen, limit=limit)
    agree(seeds(response), expected)
    if response.mode == wire.SEARCH_MODE_EXACT:
        assert seeds(response) == expected
        assert response.images_ranked == sum(map(passes, range(IMAGES)))


async def test_all_conditions_are_about_one_reference_and_only_such_are_listed(shop: Writer) -> None:
    await shop.send(
        shop.request(1, "https://shop/1/1.jpg", product="other", variant="x"),
        shop.request(1, "https://shop/1/1.jpg", product="other", variant="y", labels={"colour": "red"}),
    )
    both = wire.Filter(products=["other"], labels=[wire.LabelGroup(any_of=[wire.Label(name="colour", value="red")])])
    response = await ask(shop, filter=both)
    assert [reference.variant for reference in response.hits[0].references] == ["y"]
    assert response.hits[0].reference_count == 1
    neither = wire.Filter(variants=["x"], labels=[wire.LabelGroup(any_of=[wire.Label(name="colour", value="red")])])
    assert not (await ask(shop, filter=neither)).hits
    await shop.stub.DeleteImages(wire.DeleteImagesRequest(project=shop.project, products=["other"]))


async def test_min_similarity_cuts_off(shop: Writer) -> None:
    least = float(SIMILARITIES[RANKED[7]]) - 1e-4
    response = await ask(shop, min_similarity=least, limit=100)
    agree(seeds(response), RANKED[:8], 0.7)
    assert not (await ask(shop, min_similarity=1)).hits


@pytest.mark.parametrize("limit", [1, 7, 150])
async def test_pages_follow_one_another_without_gap_or_repetition(shop: Writer, limit: int) -> None:
    found: list[int] = []
    token, pages = "", 0
    while len(found) < 3 * limit:
        response = await ask(shop, limit=limit, page_token=token)
        found += seeds(response)
        token, pages = response.next_page_token, pages + 1
    assert pages == 3
    agree(found, RANKED[: 3 * limit])


async def test_the_last_page_says_that_it_is(shop: Writer) -> None:
    chosen = wire.Filter(products=["p7", "p8"])
    first = await ask(shop, filter=chosen, limit=4)
    second = await ask(shop, filter=chosen, limit=4, page_token=first.next_page_token)
    assert len(first.hits) == 4
    assert len(second.hits) == 2
    assert not second.next_page_token
    assert not (await ask(shop, filter=chosen, limit=6)).next_page_token


async def test_a_page_begins_after_the_last_hit_whatever_changed_meanwhile(
    stub: SearcherServiceStub, space: str, project: str
) -> None:
    writer = Writer(stub, project, space)
    await writer.send(*(writer.request(seed) for seed in range(0, IMAGES, 2)))
    first = await ask(writer, limit=5)
    await writer.send(*(writer.request(seed) for seed in range(1, IMAGES, 2)))  # many of them nearer
    await stub.DeleteImages(wire.DeleteImagesRequest(project=project, sha256s=[first.hits[2].sha256]))
    second = await ask(writer, limit=5, page_token=first.next_page_token)
    last = seeds(first)[-1]
    assert seeds(second) == [seed for seed in RANKED if SIMILARITIES[seed] < SIMILARITIES[last]][:5]


async def test_a_token_belongs_to_its_search(exact: Writer, indexed: Writer) -> None:
    token = (await ask(exact, limit=2)).next_page_token
    assert (await ask(exact, limit=3, page_token=token)).hits
    for writer, fields in ((exact, {"exact": True}), (exact, {"filter": wire.Filter(staged=True)}), (indexed, {})):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(writer, page_token=token, **fields)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "page_token" in str(caught.value.details())


async def test_grouped_by_product_a_hit_is_a_products_best_image(shop: Writer) -> None:
    best: dict[int, int] = {}
    for seed in RANKED:
        best.setdefault(seed // 3, seed)
    response = await ask(shop, group_by=wire.GROUPING_PRODUCT, limit=20)
    agree(seeds(response), list(best.values())[:20])
    assert [hit.product for hit in response.hits] == [f"p{seed // 3}" for seed in seeds(response)]
    assert all(hit.references[0].product == hit.product for hit in response.hits)
    following = await ask(shop, group_by=wire.GROUPING_PRODUCT, limit=280, page_token=response.next_page_token)
    products = [hit.product for hit in [*response.hits, *following.hits]]
    assert len(set(products)) == len(products) == 300
    assert not following.next_page_token


async def test_grouped_by_product_images_without_one_stand_for_themselves(
    stub: SearcherServiceStub, space: str, project: str
) -> None:
    writer = Writer(stub, project, space)
    await writer.send(
        writer.request(1),
        writer.request(2),
        writer.request(3, "shared", product="a"),
        writer.request(3, "shared", product="b"),
        writer.request(4, product="b"),
    )
    query = common.Embedding(space=space, values=vector(3))
    response = await ask(writer, embedding=query, group_by=wire.GROUPING_PRODUCT)
    found = [(hit.product, seed) for hit, seed in zip(response.hits, seeds(response), strict=True)]
    assert found[:2] == [("a", 3), ("b", 3)]
    assert sorted(found[2:]) == [("", 1), ("", 2)]


async def test_an_image_of_the_project_is_found_by_uri(shop: Writer) -> None:
    response = await ask(shop, embedding=None, uri="https://shop/7/17.jpg")
    assert seeds(response)[0] == 17
    assert response.hits[0].match == wire.MATCH_EXACT
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(shop, embedding=None, uri="https://shop/nothing.jpg")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_positives_attract_negatives_repel_and_neither_is_a_hit(shop: Writer) -> None:
    positives = [wire.Example(sha256=sha256(1)), wire.Example(uri="https://shop/2/2.jpg")]
    negatives = [wire.Example(embedding=common.Embedding(space=shop.space, values=vector(3)))]
    wanted = (vector(1) + vector(2)) - vector(3)
    wanted /= np.linalg.norm(wanted)
    ranked = [int(seed) for seed in np.argsort([-(vector(seed) @ wanted) for seed in range(IMAGES)])]
    response = await ask(shop, embedding=None, positives=positives, negatives=negatives, limit=20)
    agree(seeds(response), [seed for seed in ranked if seed not in (1, 2)][:20])
    least = await ask(shop, embedding=None, positives=positives, negatives=negatives, limit=1000, exact=True)
    assert seeds(least)[-1] == 3


async def test_a_batch_answers_each_search_by_itself(exact: Writer, indexed: Writer) -> None:
    query = common.Embedding(space=exact.space, values=QUERY)
    requests = [
        wire.SearchRequest(project=exact.project, embedding=query),
        wire.SearchRequest(project=indexed.project, embedding=query, exact=True, limit=3),
        wire.SearchRequest(project="nowhere", embedding=query),
        wire.SearchRequest(project=exact.project),
    ]
    response = await exact.stub.SearchBatch(wire.SearchBatchRequest(requests=requests))
    assert [seeds(result.response) for result in response.results[:2]] == [RANKED[:10], RANKED[:3]]
    assert [result.error.reason for result in response.results[2:]] == ["PROJECT_NOT_FOUND", "INVALID_FIELD"]
    for bad in ([], requests * 26):
        error = await refused(exact.stub.SearchBatch(wire.SearchBatchRequest(requests=bad)))
        assert isinstance(error, InvalidRequestError)


async def quota(call: "grpc.aio.UnaryUnaryCall[object, object]") -> tuple[str, str]:
    """Reason and subject of a refusal for a quota."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    details = rpc_status.from_call(caught.value).details
    info, failure = error_details_pb2.ErrorInfo(), error_details_pb2.QuotaFailure()
    assert details[0].Unpack(info)
    assert details[1].Unpack(failure)
    return info.reason, failure.violations[0].subject


async def test_a_project_keeps_its_limits(stub: SearcherServiceStub, space: str, project: str) -> None:
    writer, subject = Writer(stub, project, space), f"project:{project}"
    limits = wire.Limits(max_images=3, max_hits=5, searches_per_second=1, max_batch=2)
    updated = await stub.UpdateProject(wire.UpdateProjectRequest(name=project, limits=limits))
    assert updated.project.limits == limits
    again = writer.request(1, "another")
    results = await writer.send(*(writer.request(seed) for seed in range(5)), again)
    assert results == [INDEXED] * 3 + ["IMAGE_QUOTA_EXCEEDED"] * 2 + [INDEXED]
    synced = wire.SyncProductRequest(project=project, product="p", entries=[entry(writer, 9)])
    assert await quota(stub.SyncProduct(synced)) == ("IMAGE_QUOTA_EXCEEDED", subject)
    query = common.Embedding(space=space, values=QUERY)
    asked = wire.SearchRequest(project=project, embedding=query, limit=5)
    deeper = wire.SearchRequest(project=project, embedding=query, limit=6)
    assert await quota(stub.Search(deeper)) == ("HIT_QUOTA_EXCEEDED", subject)
    batch = await stub.SearchBatch(wire.SearchBatchRequest(requests=[asked] * 3))
    assert {result.error.reason for result in batch.results} == {"BATCH_QUOTA_EXCEEDED"}
    await stub.Search(asked)
    await stub.Search(asked)  # within the burst
    assert await quota(stub.Search(asked)) == ("SEARCH_QUOTA_EXCEEDED", subject)
    await stub.UpdateProject(wire.UpdateProjectRequest(name=project, limits=wire.Limits()))
    await stub.Search(deeper)


def entry(writer: Writer, seed: int, uri: str = "", **reference: object) -> wire.ImageEntry:
    request = writer.request(seed, uri, **reference)
    return wire.ImageEntry(sha256=request.sha256, embedding=request.embedding, reference=request.reference)


async def test_a_sample_of_approximate_searches_is_ranked_exactly_again(indexed: Writer, database: Database) -> None:
    """And where the mean falls below the target, searches look deeper; where it is far above it, less deep again."""
    metrics = Metrics()
    recall = Recall(database, metrics, share=1, target=0.95)
    wanted = Search(indexed.project, query_of(indexed), 10)
    ranking = await rank.rank(database, wanted)
    assert not ranking.reason.exact
    before = await index_of(indexed)
    task = asyncio.create_task(recall.run())
    recall.offer(wanted, ranking)
    await until_measured(metrics, 1)
    assert (await index_of(indexed)).recall >= 0.8
    poor = ranking._replace(hits=ranking.hits[:2])
    for count in range(2, 32):
        recall.offer(wanted, poor)
        await until_measured(metrics, count)
    after = await index_of(indexed)
    assert after.ef_search > before.ef_search
    perfect = ranking._replace(hits=(await rank.rank(database, wanted._replace(exact=True))).hits)
    for count in range(32, 132):
        recall.offer(wanted, perfect)
        await until_measured(metrics, count)
    assert before.ef_search <= (await index_of(indexed)).ef_search < after.ef_search
    async with database.reading() as connection:
        space_id = (await registry.get(database, indexed.project)).serving.id
        kept = await connection.fetch(statement("query_recent"), space_id)
    assert 1 <= len(kept) <= 131
    assert {row["vector"] for row in kept} == {ranking.query.vector}
    task.cancel()


async def test_samples_of_recall_leave_the_processor_to_searches(
    indexed: Writer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the recall is known, a sample is followed by a rest: here by one that does not end."""
    monkeypatch.setattr("lookalike_searcher.search.recall._RESTS", 1e6)
    metrics = Metrics()
    recall = Recall(database, metrics, share=1, target=0.95)
    wanted = Search(indexed.project, query_of(indexed), 10)
    known = (await rank.rank(database, wanted))._replace(recall_count=30)
    task = asyncio.create_task(recall.run())
    for _ in range(2):
        recall.offer(wanted, known)
    await until_measured(metrics, 1)
    for _ in range(20):
        await rank.rank(database, wanted._replace(exact=True))
    assert metrics.recall_samples.labels("measured")._value.get() == 1
    task.cancel()


def query_of(writer: Writer) -> Query:
    message = wire.SearchRequest(project=writer.project, embedding=common.Embedding(space=writer.space, values=QUERY))
    return parse.search(message)[0].query


async def until_measured(metrics: Metrics, count: int) -> None:
    async def measured() -> bool:
        return bool(metrics.recall_samples.labels("measured")._value.get() >= count)

    await until(measured)


async def index_of(writer: Writer) -> wire.Index:
    response = await writer.stub.GetProject(wire.GetProjectRequest(name=writer.project))
    index = response.project.spaces[0].index
    assert isinstance(index, wire.Index)
    return index


async def test_a_slow_search_is_logged_with_its_plan(
    indexed: Writer, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await rank.rank(database, Search(indexed.project, query_of(indexed), 10), slow_seconds=0)
    *_, record = (record for record in caplog.records if "slow search" in record.message)
    assert "Index Scan using vector_" in record.plan


async def test_the_log_of_slow_searches_holds_no_value_of_the_callers(
    indexed: Writer, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is searched for or filtered by may be about somebody; and a value may look like lines of a log."""
    forged = "it''s\n2026-01-01 INFO lookalike.audit [-]: forged"
    chosen = Filter(
        products=("secret-product", forged),
        variants=("secret-variant",),
        uri_prefix="https://secret/",
        labels=((("secret-name", "secret'value"),),),
    )
    await rank.rank(database, Search(indexed.project, query_of(indexed), 10, filter=chosen), slow_seconds=0)
    [record] = [record for record in caplog.records if "slow search" in record.message]
    assert "Filter: " in record.plan
    for text in record.plan, record.getMessage():
        assert not [word for word in ("secret", "forged", "[0.", "[-0.") if word in text]


async def test_a_missing_space_is_not_found(exact: Writer) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(exact, space="another")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def pages_of(shop: Writer, **fields: object) -> list[int]:
    """The seeds of all hits, page after page."""
    response = await ask(shop, **fields)
    found = seeds(response)
    while response.next_page_token:
        response = await ask(shop, **fields, page_token=response.next_page_token)
        found += seeds(response)
    return found


@pytest.mark.parametrize("rerank", [0, 20])
@pytest.mark.parametrize("grouping", [wire.GROUPING_UNSPECIFIED, wire.GROUPING_PRODUCT])
@pytest.mark.parametrize("place", [0, 3, 600])
async def test_the_querys_own_file_comes_first_however_near_others_are(
    shop: Writer, place: int, grouping: "wire.Grouping.ValueType", rerank: int
) -> None:
    """Another embedder may have made its vector: a copy that was saved again, and many others, may be nearer."""
    own = RANKED[place]
    fields = {"sha256": sha256(own), "group_by": grouping, "rerank": rerank}
    for limit in (1, 5):
        response = await ask(shop, **fields, limit=limit)
        assert seeds(response)[0] == own
        assert len(response.hits) == limit
        first = response.hits[0]
        assert (first.match, first.references[0].product) == (wire.MATCH_EXACT, f"p{own // 3}")
        assert first.similarity == pytest.approx(SIMILARITIES[own], abs=1e-3)
        assert wire.MATCH_EXACT not in [hit.match for hit in response.hits[1:]]


async def test_the_querys_own_file_comes_once_in_all_pages(shop: Writer) -> None:
    own, least = RANKED[30], float(SIMILARITIES[RANKED[49]])
    for fields in ({}, {"group_by": wire.GROUPING_PRODUCT}):
        found = await pages_of(shop, sha256=sha256(own), min_similarity=least, limit=7, **fields)
        assert found[0] == own
        assert len(found) == len(set(found))
        without = await pages_of(shop, min_similarity=least, limit=7, **fields)
        assert set(found) - set(without) <= {own}
        assert set(without) - set(found) <= {seed for seed in RANKED[:50] if seed // 3 == own // 3}


async def test_a_filter_and_a_least_similarity_hold_for_the_querys_own_file_too(shop: Writer) -> None:
    own = RANKED[5]
    for fields in (
        {"filter": wire.Filter(products=[f"p{RANKED[0] // 3}"])},
        {"min_similarity": float(SIMILARITIES[RANKED[2]])},
    ):
        assert own not in seeds(await ask(shop, sha256=sha256(own), **fields))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"filter": Filter(variants=("v1",))},
        {"filter": Filter(products=("p7", "p9", "p11"))},
        {"min_similarity": 0.12},
        {"query": Query((Example(sha256=sha256(1)),), leave_out=True)},
    ],
)
async def test_what_is_nearest_to_all_views_is_found_at_once(
    shop: Writer, database: Database, how: dict[str, object]
) -> None:
    """It is what a search for each view finds, less what the page has, and takes one connection for one statement."""
    given = tuple(Embedding(shop.space, encode_vector(half(vector(seed)))) for seed in (1, 2, 5000, 5001))
    search = Search(shop.project, **{"query": query_of(shop), "limit": 10, "views": given} | how)
    ranking = await rank.rank(database, views.widened(search))
    known = {hit.image_id for hit in ranking.hits[:10]} | set(ranking.query.excluded)
    expected = {hit.image_id: hit for hit in ranking.hits[10:]}
    for view in given:
        near = search._replace(query=Query((Example(embedding=view),)), limit=views.NEAREST_TO_VIEW, views=())
        for hit in (await rank.rank(database, near)).hits:
            expected[hit.image_id] = max(expected.get(hit.image_id, hit), hit, key=lambda hit: hit.similarity)
    before = lent(database)
    found = await views.candidates(database, search, ranking)
    assert lent(database) - before == 1
    assert {hit.image_id: hit for hit in found} == {image: hit for image, hit in expected.items() if image not in known}
    assert len({hit.image_id for hit in found}) == len(found)


def lent(database: Database) -> float:
    """How often a connection was lent."""
    name = "lookalike_searcher_pool_wait_seconds_count"
    return database.metrics.registry.get_sample_value(name) or 0
