"""Searches through the client library, in all the ways there are to ask."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lookalike import (
    Client,
    Embedding,
    Example,
    Filter,
    InvalidRequestError,
    Item,
    LookalikeError,
    Match,
    NotFoundError,
    Query,
    SearchMode,
    SearchResult,
    UnreadableImageError,
)
from lookalike_embedder.config import Config
from lookalike_serving.server import Server
from tests import colour_embedder
from tests.integration.conftest import address
from tests.pictures import jpeg

ITEMS = [
    Item(jpeg(colour="red"), "https://shop/red", "bag", labels={"colour": "red", "brand": "x"}),
    Item(jpeg(colour="orange"), "https://shop/orange", "bag", "small", labels={"colour": "orange", "maker": "x"}),
    Item(jpeg(colour="yellow"), "https://shop/yellow", "hat", staged=True, labels={"colour": "yellow", "brand": "y"}),
    Item(
        jpeg(colour="chartreuse"),
        "https://shop/chartreuse",
        "hat",
        "large",
        labels={"colour": "chartreuse", "brand": "x"},
    ),
    Item(jpeg(colour="blue"), "https://elsewhere/blue"),
]
RED = ITEMS[0].image


@pytest.fixture(scope="module")
async def colour_client(embedder_config: Config, searcher: Server) -> AsyncIterator[Client]:
    async with (
        colour_embedder.embedder(embedder_config, "a") as embedder,
        Client(address(embedder), address(searcher)) as client,
    ):
        yield client


@pytest.fixture(scope="module")
async def shop(colour_client: Client) -> AsyncIterator[str]:
    """From red to blue, over the rainbow."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    await colour_client.create_project(name)
    assert not [outcome.error async for outcome in colour_client.index(name, ITEMS) if outcome.error]
    yield name
    await colour_client.delete_project(name)


def names(result: SearchResult | LookalikeError) -> list[str]:
    """The hits' colours."""
    assert isinstance(result, SearchResult)
    return [hit.references[0].uri.rpartition("/")[2] for hit in result.hits]


async def test_each_way_to_ask_gives_the_same_ranking(colour_client: Client, shop: str, tmp_path: Path) -> None:
    file = tmp_path / "red.jpg"
    file.write_bytes(bytes(RED))
    found = await colour_client.get_image(shop, uri="https://shop/red")
    vector = await colour_client.embed(RED)
    by_image = await colour_client.search(shop, image=RED)
    assert names(by_image) == ["red", "orange", "yellow", "chartreuse", "blue"]
    assert (by_image.hits[0].match, by_image.hits[0].sha256) == (Match.EXACT, found.sha256)
    assert (by_image.mode, by_image.space, by_image.next_page_token) == (SearchMode.EXACT, vector.space, "")
    for query in (
        {"image": file},
        {"sha256": found.sha256},
        {"uri": "https://shop/red"},
        {"embedding": vector},
        {"image": RED, "exact": True, "space": vector.space},
        {"positives": [Example(image=RED)]},
    ):
        result = await colour_client.search(shop, **query)
        assert names(result) == names(by_image)
        assert (result.embed_seconds > 0) == ("image" in query or "positives" in query)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (Filter(products="hat"), ["yellow", "chartreuse"]),
        (Filter(products=("hat", "bag"), variants=["small", "large"]), ["orange", "chartreuse"]),
        (Filter(staged=True), ["yellow"]),
        (Filter(staged=False, products="hat"), ["chartreuse"]),
        (Filter(uri_prefix="https://elsewhere/"), ["blue"]),
        (Filter(labels={"colour": ("red", "chartreuse", "yellow"), "brand": "x"}), ["red", "chartreuse"]),
        (Filter(labels=[{"brand": "x", "maker": "x"}, {"colour": ["orange", "red"]}]), ["red", "orange"]),
        (Filter(), ["red", "orange", "yellow", "chartreuse", "blue"]),
    ],
)
async def test_a_filter_leaves_those_that_meet_all_of_it(
    colour_client: Client, shop: str, chosen: Filter, expected: list[str]
) -> None:
    assert names(await colour_client.search(shop, image=RED, filter=chosen)) == expected


async def test_positives_draw_and_negatives_push(colour_client: Client, shop: str) -> None:
    """Whatever the examples are; those that the project holds are no hits."""
    chartreuse = await colour_client.embed(ITEMS[3].image)
    red = await colour_client.get_image(shop, uri="https://shop/red")
    away_from_red = await colour_client.search(
        shop, positives=[Example(uri="https://shop/orange")], negatives=[Example(sha256=red.sha256)]
    )
    assert names(away_from_red) == ["chartreuse", "yellow", "blue"]
    between = await colour_client.search(shop, positives=[Example(image=RED), Example(embedding=chartreuse)], limit=2)
    assert names(between) == ["orange", "yellow"]


async def test_pages_give_every_hit_once_and_embed_once(colour_client: Client, shop: str) -> None:
    pages = [page async for page in colour_client.search_pages(shop, Query(image=RED, limit=2))]
    assert [names(page) for page in pages] == [["red", "orange"], ["yellow", "chartreuse"], ["blue"]]
    assert [page.embed_seconds > 0 for page in pages] == [True, False, False]
    assert not pages[-1].next_page_token
    vector = await colour_client.embed(RED)
    first = await colour_client.search(shop, embedding=vector, limit=4)
    second = await colour_client.search(shop, embedding=vector, limit=1, page_token=first.next_page_token)
    assert names(second) == ["blue"]
    with pytest.raises(InvalidRequestError):
        await colour_client.search(shop, uri="https://shop/red", page_token=first.next_page_token)


async def test_products_are_ranked_by_their_best_image(colour_client: Client, shop: str) -> None:
    result = await colour_client.search(shop, image=RED, group_by_product=True)
    assert [hit.product for hit in result.hits] == ["bag", "hat", ""]
    assert names(result) == ["red", "yellow", "blue"]
    ungrouped = await colour_client.search(shop, image=RED)
    assert {hit.product for hit in ungrouped.hits} == {""}


async def test_hits_are_at_least_as_similar_as_asked(colour_client: Client, shop: str) -> None:
    result = await colour_client.search(shop, image=RED, min_similarity=0.6)
    assert names(result) == ["red", "orange", "yellow"]


async def test_a_batch_answers_each_by_itself(colour_client: Client, shop: str, tmp_path: Path) -> None:
    results = await colour_client.search_batch(
        shop,
        [
            Query(image=RED, limit=1),
            Query(image=tmp_path / "missing.jpg"),
            Query(image=b"no image"),
            Query(sha256="00" * 32),
            Query(uri="https://shop/chartreuse", limit=1, filter=Filter(products="bag")),
            Query(sha256="no hexadecimal"),
            Query(embedding=Embedding("another-space", (1.0, *[0.0] * 511))),
        ],
    )
    assert names(results[0]) == ["red"]
    assert names(results[4]) == ["orange"]
    assert [type(results[number]).__name__ for number in (1, 2, 3, 5, 6)] == [
        *("UnreadableImageError", "InvalidRequestError", "NotFoundError", "InvalidRequestError", "PreconditionError")
    ]
    assert isinstance(results[3], NotFoundError)
    assert results[3].request_id
    unsent = await colour_client.search_batch(shop, [Query(image=tmp_path / "missing.jpg")])
    assert isinstance(unsent[0], UnreadableImageError)


async def test_a_batch_has_one_to_a_hundred_queries(colour_client: Client, shop: str) -> None:
    assert len(await colour_client.search_batch(shop, [Query(uri="https://shop/red")] * 100)) == 100
    for count in (0, 101):
        with pytest.raises(InvalidRequestError):
            await colour_client.search_batch(shop, [Query(uri="https://shop/red")] * count)


async def test_an_example_that_is_no_image_fails_the_search(colour_client: Client, shop: str) -> None:
    with pytest.raises(InvalidRequestError):
        await colour_client.search(shop, positives=[Example(image=RED)], negatives=[Example(image=b"no image")])
