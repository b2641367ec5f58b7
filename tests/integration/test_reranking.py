"""Re-ranked searches, over the wire."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest

from lookalike import Client, Embedding, Hit, InvalidRequestError, Query, SearchResult
from lookalike.v1 import common_pb2 as common
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.search.reranking import DEPTH, scores
from tests.indexer import INDEXED, Writer, sha256, vector

SPACE = "made-up"
KINDS, EACH = 12, 8


def shown(seed: int) -> np.ndarray:
    """An image of one of the kinds, or further on a query, as it is stored."""
    raw = vector(1000 + seed % KINDS) + vector(999) + 2.5 * vector(seed)
    return np.asarray((raw / np.linalg.norm(raw)).astype(np.float16), np.float32)


def query(seed: int = 600, **how: object) -> Query:
    return Query(embedding=Embedding(SPACE, tuple(map(float, shown(seed)))), **how)


async def answers(client: Client, project: str, *queries: Query) -> list[SearchResult]:
    results = await client.search_batch(project, queries)
    return [result for result in results if isinstance(result, SearchResult)]


@pytest.fixture(scope="module")
async def shop(client: Client, searcher_channel: grpc.aio.Channel) -> AsyncIterator[str]:
    """A project of images of several kinds; two of each kind are one product."""
    name = f"kinds-{uuid.uuid4().hex[:12]}"
    await client.create_project(name, space=SPACE)
    writer = Writer(SearcherServiceStub(searcher_channel), name, SPACE)
    requests = [
        writer.request(seed, embedded=False, product=f"{seed % KINDS}-{seed // KINDS // 2}")
        for seed in range(KINDS * EACH)
    ]
    for seed, request in enumerate(requests):
        request.embedding.CopyFrom(common.Embedding(space=SPACE, values=shown(seed)))
    assert await writer.send(*requests) == [INDEXED] * len(requests)
    yield name
    await client.delete_project(name)


async def test_hits_come_in_the_order_of_their_scores_and_keep_their_similarity(client: Client, shop: str) -> None:
    plain, again = await answers(client, shop, query(limit=40), query(limit=40, rerank=40))
    assert {hit.sha256 for hit in again.hits} == {hit.sha256 for hit in plain.hits}
    assert {hit.sha256: hit.similarity for hit in again.hits} == {hit.sha256: hit.similarity for hit in plain.hits}
    assert [hit.score for hit in plain.hits] == [hit.similarity for hit in plain.hits]

    of_sha256 = {sha256(seed).hex(): seed for seed in range(KINDS * EACH)}
    shortlist = np.stack([shown(600), *(shown(of_sha256[hit.sha256]) for hit in plain.hits)])
    expected = dict(zip((hit.sha256 for hit in plain.hits), scores(shortlist), strict=True))
    assert {hit.sha256: hit.score for hit in again.hits} == pytest.approx(expected, abs=1e-3)
    assert [hit.score for hit in again.hits] == sorted((hit.score for hit in again.hits), reverse=True)


async def test_the_limit_is_left_of_a_longer_shortlist(client: Client, shop: str) -> None:
    whole, part = await answers(client, shop, query(limit=50, rerank=50), query(limit=5, rerank=50))
    assert part.hits == whole.hits[:5]


async def test_pages_go_on_in_the_new_order_and_then_by_similarity(client: Client, shop: str) -> None:
    """No hit is there twice or missing, whatever the pages' sizes."""
    whole, plain = await answers(client, shop, query(limit=200, rerank=50), query(limit=200))
    token, found = "", list[Hit]()
    for limit in (7, 20, 30, 15, 15, 15):  # the third one has the last that are re-ranked, and the first that are not
        page = await client.search(shop, **vars(query(limit=limit, rerank=50, page_token=token)))
        found += page.hits
        token = page.next_page_token
    assert not token
    assert found == list(whole.hits)
    assert found[50:] == list(plain.hits[50:])


async def test_automatic_is_a_depth_of_the_searchers(client: Client, shop: str) -> None:
    deep, automatic = await answers(client, shop, query(limit=9, rerank=DEPTH), query(limit=9, rerank="auto"))
    assert automatic.hits == deep.hits


async def test_hits_beyond_what_is_reranked_follow_by_similarity(client: Client, shop: str) -> None:
    plain, some, part = await answers(
        client, shop, query(limit=40), query(limit=40, rerank=15), query(limit=15, rerank=15)
    )
    assert some.hits[:15] == part.hits != plain.hits[:15]
    assert some.hits[15:] == plain.hits[15:]


async def test_more_hits_are_of_the_querys_kind(client: Client, shop: str) -> None:
    async def right(rerank: int) -> int:
        results = await answers(client, shop, *(query(600 + n, limit=EACH, rerank=rerank) for n in range(KINDS)))
        return sum(
            hit.references[0].product.startswith(f"{n}-") for n, result in enumerate(results) for hit in result.hits
        )

    assert await right(60) > await right(0) + KINDS // 3


async def test_products_are_reranked_by_their_best_image(client: Client, shop: str) -> None:
    result = await client.search(shop, **vars(query(limit=6, rerank=30, group_by_product=True)))
    products = [hit.product for hit in result.hits]
    assert len(set(products)) == len(products) == 6
    assert [hit.score for hit in result.hits] == sorted((hit.score for hit in result.hits), reverse=True)


async def test_a_filter_and_a_threshold_hold(client: Client, shop: str) -> None:
    result = await client.search(shop, **vars(query(limit=10, rerank=100, min_similarity=0.2)))
    assert result.hits
    assert all(hit.similarity >= 0.2 for hit in result.hits)
    none = await client.search(shop, **vars(query(limit=10, rerank=100, min_similarity=0.9999)))
    assert none.hits == ()


@pytest.mark.parametrize(
    ("how", "field"),
    [({"rerank": 1001}, "rerank"), ({"rerank": -1}, "rerank"), ({"rerank": 20, "page_token": "plain"}, "page_token")],
)
async def test_what_cannot_be_reranked_is_refused(client: Client, shop: str, how: dict[str, Any], field: str) -> None:
    asked = query(limit=10)
    if "page_token" in how:
        how = {**how, "page_token": (await client.search(shop, **vars(asked))).next_page_token}
    with pytest.raises(InvalidRequestError, match=field):
        await client.search(shop, **vars(replace(asked, **how)))
