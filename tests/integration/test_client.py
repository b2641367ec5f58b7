"""The client library over both servers: the whole path as a user walks it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

import lookalike
from lookalike import (
    Client,
    InvalidRequestError,
    Item,
    LookalikeError,
    Match,
    NotFoundError,
    Outcome,
    PreconditionError,
    Status,
    UnavailableError,
)
from lookalike.indexing import pipeline
from lookalike_serving.server import Server
from tests.integration.conftest import address
from tests.pictures import jpeg


async def index(client: Client, project: str, items: list[Item]) -> dict[str, Outcome]:
    return {outcome.uri: outcome async for outcome in client.index(project, items)}


def items_of(photos: list[Path]) -> list[Item]:
    return [Item(image=photo, uri=photo.as_uri(), product=photo.stem) for photo in photos]


async def test_photos_go_in_and_ranked_products_come_out(client: Client, project: str, photos: list[Path]) -> None:
    outcomes = await index(client, project, items_of(photos))
    assert {outcome.status for outcome in outcomes.values()} == {Status.INDEXED}
    assert len(outcomes) == len(photos)
    result = await client.search(project, image=photos[3], limit=3)
    assert len(result.hits) == 3
    assert result.hits[0].match is Match.EXACT
    assert result.hits[0].similarity == pytest.approx(1, abs=1e-3)
    assert result.hits[0].references[0].product == photos[3].stem
    assert [hit.similarity for hit in result.hits] == sorted((hit.similarity for hit in result.hits), reverse=True)
    assert result.images_ranked == len(photos)
    assert result.embed_seconds > 0
    assert result.search_seconds > 0


async def test_indexing_again_embeds_nothing(
    client: Client, project: str, photos: list[Path], searcher: Server
) -> None:
    """What is there by content is skipped: the second run needs no embedder at all."""
    await index(client, project, items_of(photos[:5]))
    async with Client("127.0.0.1:1", address(searcher), timeout=30) as without_embedder:
        outcomes = await index(without_embedder, project, items_of(photos[:5]))
    assert {outcome.status for outcome in outcomes.values()} == {Status.UNCHANGED}


async def test_a_known_image_at_a_new_place_is_a_new_reference(
    client: Client, project: str, photos: list[Path]
) -> None:
    await index(client, project, items_of(photos[:1]))
    outcomes = await index(client, project, [Item(image=photos[0], uri="https://elsewhere/1.png", product="other")])
    assert outcomes["https://elsewhere/1.png"].status is Status.INDEXED
    found = await client.get_project(project)
    assert (found.image_count, found.reference_count) == (1, 2)


async def test_the_same_image_many_times_in_one_run_is_embedded_once_and_referenced_each_time(
    client: Client, project: str
) -> None:
    outcomes = await index(client, project, [Item(image=jpeg(), uri=f"https://shop/{n}.jpg") for n in range(50)])
    assert len(outcomes) == 50
    assert {outcome.status for outcome in outcomes.values()} == {Status.INDEXED}
    found = await client.get_project(project)
    assert (found.image_count, found.reference_count) == (1, 50)


async def test_what_is_broken_fails_alone_and_says_why(
    client: Client, project: str, photos: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "large.jpg").write_bytes(bytes(17 * 1024 * 1024))
    items = [
        *items_of(photos[:2]),
        Item(image=tmp_path / "missing.jpg", uri="missing"),
        Item(image=tmp_path / "text.jpg", uri="text"),
        Item(image=tmp_path / "large.jpg", uri="large"),
        Item(image=b"", uri="empty"),
        Item(image=photos[2], uri="x" * 3000),
        *items_of(photos[3:4]),
    ]
    outcomes = await index(client, project, items)
    assert len(outcomes) == len(items)
    reasons = {uri[:10]: outcome.error.reason for uri, outcome in outcomes.items() if outcome.error}
    assert reasons == {
        "missing": "UNREADABLE",
        "text": "UNSUPPORTED_FORMAT",
        "large": "IMAGE_TOO_LARGE",
        "empty": "EMPTY_IMAGE",
        "x" * 10: "INVALID_FIELD",
    }
    assert sum(outcome.status is Status.INDEXED for outcome in outcomes.values()) == 3
    assert (await client.get_project(project)).image_count == 3


async def test_images_that_change_places_are_all_found_at_their_new_ones(
    quick_client: Client, quick_project: str
) -> None:
    """Numbered files after one was put before them: every image is known, and loses its last place for a moment."""
    client, project = quick_client, quick_project
    pictures = [jpeg(64, 48 + number) for number in range(700)]
    await index(client, project, [Item(image=data, uri=f"{number}.jpg") for number, data in enumerate(pictures)])
    turned = [Item(image=pictures[number - 1], uri=f"{number}.jpg") for number in range(len(pictures))]
    outcomes = await index(client, project, turned)
    assert {outcome.status for outcome in outcomes.values()} == {Status.INDEXED}
    found = await client.get_project(project)
    assert (found.image_count, found.reference_count) == (len(pictures), len(pictures))


async def test_an_odd_item_fails_alone(client: Client, project: str) -> None:
    odd = [
        Item(image=jpeg(), uri="\udcff"),
        Item(image=Path("a\0b"), uri="nul"),
        Item(image=jpeg(), uri="labels", labels=cast("dict[str, str]", {"size": 7})),
        Item(image=jpeg(), uri="large", labels={"note": "x" * 1_000_000}),
        Item(image=bytearray(jpeg()), uri="bytes-like"),
    ]
    outcomes = await index(client, project, [*odd, Item(image=jpeg(), uri="good")])
    assert [outcomes[item.uri].status for item in odd] == [Status.FAILED] * 4 + [Status.INDEXED]
    assert outcomes["good"].status is Status.INDEXED


def test_a_client_may_be_made_before_there_is_an_event_loop() -> None:
    """As a module does that is imported once, and used by whatever runs later."""
    made = Client("127.0.0.1:1", "127.0.0.1:1", timeout=10)

    async def use() -> None:
        with pytest.raises(UnavailableError):
            await made.get_project("shop")
        await made.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, use()).result()


async def test_a_client_that_is_closed_says_so(
    client: Client, embedder: Server, searcher: Server, project: str
) -> None:
    closing = Client(address(embedder), address(searcher))
    outcomes = closing.index(project, [Item(image=jpeg(), uri=str(number)) for number in range(2000)])
    await anext(outcomes)
    await closing.close()
    with pytest.raises(LookalikeError, match="the client is closed"):
        async for _ in outcomes:
            pass
    with pytest.raises(LookalikeError, match="the client is closed"):
        await closing.get_project(project)


async def test_values_that_cannot_be_sent_are_invalid(client: Client, project: str) -> None:
    for query in ({"sha256": "no hexadecimal"}, {"image": jpeg(), "limit": 2**40}):
        with pytest.raises(InvalidRequestError):
            await client.search(project, **query)


async def test_no_items_give_no_outcomes(client: Client, project: str) -> None:
    assert await index(client, project, []) == {}


async def test_an_unknown_project_ends_the_run(client: Client, photos: list[Path]) -> None:
    with pytest.raises(NotFoundError):
        await index(client, "nowhere", items_of(photos[:2]))


async def test_async_items_of_any_number_are_taken_only_as_outcomes_are(client: Client, project: str) -> None:
    """The source is endless; the run holds no more than its budget of it, and ends when its caller stops."""
    taken = 0

    async def endless() -> AsyncIterator[Item]:
        nonlocal taken
        data = jpeg()
        for number in itertools.count():
            taken += 1
            yield Item(image=data, uri=f"https://shop/{number}.jpg")

    outcomes = client.index(project, endless())
    seen = [await anext(outcomes) for _ in range(20)]
    assert {outcome.status for outcome in seen} == {Status.INDEXED}
    await outcomes.aclose()
    assert taken <= 2 * pipeline.MAX_ITEMS


async def test_a_failure_of_the_callers_items_reaches_the_caller(client: Client, project: str) -> None:
    def broken() -> Iterator[Item]:
        yield Item(image=jpeg(), uri="https://shop/1.jpg")
        raise RuntimeError("the manifest is torn")

    with pytest.raises(RuntimeError, match="the manifest is torn"):
        async for _ in client.index(project, broken()):
            pass


async def test_a_vector_of_the_embedder_can_be_the_query(client: Client, project: str, photos: list[Path]) -> None:
    await index(client, project, items_of(photos[:4]))
    embedding = await client.embed(photos[1])
    assert len(embedding.values) == 512
    result = await client.search(project, embedding=embedding, limit=1)
    assert result.hits[0].references[0].product == photos[1].stem
    assert result.hits[0].match is Match.NEAR_DUPLICATE  # without the hash nobody knows that it is the same file
    foreign = lookalike.Embedding("another-space", embedding.values)
    with pytest.raises(PreconditionError):
        await client.search(project, embedding=foreign)


async def test_search_takes_exactly_one_query(client: Client, project: str) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        await client.search(project)
    with pytest.raises(ValueError, match="exactly one"):
        await client.search(project, image=b"x", sha256="00")


async def test_a_project_of_another_space_ends_the_run(client: Client) -> None:
    """Nothing more is embedded in vain."""
    await client.create_project("foreign-space", space="another-space")
    try:
        with pytest.raises(PreconditionError, match="'another-space'") as caught:
            await index(client, "foreign-space", [Item(image=jpeg(), uri="u")])
        assert caught.value.reason == "WRONG_SPACE"
        assert (await client.model()).space in str(caught.value)
        assert caught.value.request_id
        with pytest.raises(PreconditionError):
            await client.search("foreign-space", image=jpeg())
    finally:
        await client.delete_project("foreign-space")


async def test_a_server_that_is_not_there_is_unavailable(photos: list[Path]) -> None:
    async with Client("127.0.0.1:1", "127.0.0.1:1", timeout=5) as client:
        with pytest.raises(UnavailableError, match=r"the searcher at 127\.0\.0\.1:1"):
            await client.get_project("shop")
        with pytest.raises(UnavailableError, match=r"the embedder at 127\.0\.0\.1:1"):
            await client.embed(photos[0])


async def test_addresses_come_from_the_environment(
    embedder: Server, searcher: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_EMBEDDER", address(embedder))
    monkeypatch.setenv("LOOKALIKE_SEARCHER", address(searcher))
    async with Client.from_env() as client:
        assert (await client.model()).dimensions == 512
        assert isinstance([project async for project in client.list_projects()], list)


async def test_many_searches_at_once(client: Client, project: str, photos: list[Path]) -> None:
    await index(client, project, items_of(photos))
    results = await asyncio.gather(*(client.search(project, image=photo, limit=1) for photo in photos))
    assert [result.hits[0].references[0].product for result in results] == [photo.stem for photo in photos]
