"""A catalogue's life through the client library: listing, syncing, deleting, limits, and a new model."""

import hashlib
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from lookalike import (
    AlreadyExistsError,
    Client,
    Filter,
    InvalidRequestError,
    Item,
    Limits,
    NotFoundError,
    Outcome,
    PreconditionError,
    QuotaExceededError,
    Status,
    UnreadableImageError,
)
from lookalike._concurrency.budget import Room
from lookalike._operations import images
from lookalike._transport.call import Call
from lookalike.fetch import Fetched, Fetcher
from lookalike_embedder.config import Config
from lookalike_serving.server import Server
from tests import colour_embedder
from tests.integration.conftest import address
from tests.pictures import jpeg

RED, GREEN, BLUE, GREY = (jpeg(colour=colour) for colour in ("red", "green", "blue", "grey"))


def hash_of(image: bytes) -> str:
    return hashlib.sha256(image).hexdigest()


async def index(client: Client, project: str, items: Sequence[Item]) -> dict[str, Outcome]:
    return {outcome.uri: outcome async for outcome in client.index(project, items)}


async def shown(client: Client, project: str, **choice: Filter | str) -> list[str]:
    """The URIs of the images' first references."""
    return [image.references[0].uri async for image in client.list_images(project, **choice)]


@pytest.fixture(scope="module")
async def first(embedder_config: Config, searcher: Server) -> AsyncIterator[Client]:
    async with (
        colour_embedder.embedder(embedder_config, "a") as embedder,
        Client(address(embedder), address(searcher)) as client,
    ):
        yield client


@pytest.fixture(scope="module")
async def second(embedder_config: Config, searcher: Server) -> AsyncIterator[Client]:
    """A client of an embedder with a new model."""
    async with (
        colour_embedder.embedder(embedder_config, "b") as embedder,
        Client(address(embedder), address(searcher)) as client,
    ):
        yield client


@pytest.fixture
async def shop(first: Client) -> AsyncIterator[str]:
    """Three images: red and green of one product, blue of another."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    await first.create_project(name)
    items = [Item(RED, "red", "bag"), Item(GREEN, "green", "bag", labels={"size": "m"}), Item(BLUE, "blue", "hat")]
    await first.sync_product(name, "bag", items[:2])
    await first.sync_product(name, "hat", items[2:])
    yield name
    await first.delete_project(name)


async def test_an_image_is_found_by_its_hash_and_by_its_uri(first: Client, shop: str) -> None:
    by_hash = await first.get_image(shop, sha256=hash_of(GREEN))
    assert by_hash == await first.get_image(shop, uri="green")
    assert (by_hash.width, by_hash.height, by_hash.reference_count) == (64, 48, 1)
    assert by_hash.references[0].labels == {"size": "m"}
    with pytest.raises(NotFoundError):
        await first.get_image(shop, uri="grey")
    with pytest.raises(InvalidRequestError):
        await first.get_image(shop, sha256="no hexadecimal")
    for names in ({}, {"sha256": hash_of(GREEN), "uri": "green"}):
        with pytest.raises(ValueError, match="exactly one"):
            await first.get_image(shop, **names)


async def test_all_images_are_listed_over_several_pages(
    first: Client, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_PAGE_SIZE", 2)
    assert await shown(first, shop) == ["red", "green", "blue"]
    assert await shown(first, shop, filter=Filter(products="bag")) == ["red", "green"]
    assert await shown(first, shop, filter=Filter(labels={"size": ["s", "m"]})) == ["green"]
    with pytest.raises(NotFoundError):
        await shown(first, shop, missing_in_space="unknown")


async def test_images_are_deleted_by_whatever_names_them(first: Client, shop: str) -> None:
    await index(first, shop, [Item(BLUE, "also-blue", "coat")])
    deleted = await first.delete_images(shop, uris="blue")
    assert (deleted.reference_count, deleted.image_count) == (1, 0)
    deleted = await first.delete_images(shop, products=["coat", "unknown"], sha256s=[hash_of(RED)])
    assert (deleted.reference_count, deleted.image_count) == (2, 2)
    assert await shown(first, shop) == ["green"]
    deleted = await first.delete_images(shop, uris=["green"] * 2, sha256s=hash_of(GREEN))
    assert (deleted.reference_count, deleted.image_count) == (1, 1)
    deleted = await first.delete_images(shop, uris="green")
    assert (deleted.reference_count, deleted.image_count) == (0, 0)
    for names in ({}, {"sha256s": "no hexadecimal"}, {"uris": ["x"] * 1001}):
        with pytest.raises(InvalidRequestError):
            await first.delete_images(shop, **names)


async def test_a_synced_product_shows_exactly_its_images(first: Client, shop: str, searcher: Server) -> None:
    items = [Item(RED, "red", labels={"size": "l"}), Item(GREY, "grey"), Item(GREY, "also-grey"), Item(BLUE, "blue")]
    result = await first.sync_product(shop, "bag", items)
    assert [(outcome.uri, outcome.status) for outcome in result.outcomes] == [
        (item.uri, Status.INDEXED) for item in items
    ]
    assert (result.deleted_reference_count, result.deleted_image_count) == (1, 1)
    assert await shown(first, shop, filter=Filter(products="bag")) == ["red", "blue", "grey"]
    async with Client("127.0.0.1:1", address(searcher), timeout=30) as without_embedder:
        again = await without_embedder.sync_product(shop, "bag", items)
    assert {outcome.status for outcome in again.outcomes} == {Status.UNCHANGED}
    emptied = await first.sync_product(shop, "bag", [])
    assert emptied.deleted_reference_count == 4
    assert await shown(first, shop) == ["blue"]


async def test_what_is_wrong_with_one_item_changes_nothing(first: Client, shop: str, tmp_path: Path) -> None:
    refused = [
        (Item(tmp_path / "missing.jpg", "missing"), UnreadableImageError),
        (Item(b"no image", "text"), InvalidRequestError),
        (Item(GREY, "x" * 3000), InvalidRequestError),
        (Item(GREY, "other", "hat"), InvalidRequestError),
    ]
    for item, kind in refused:
        with pytest.raises(kind) as caught:
            await first.sync_product(shop, "bag", [Item(GREY, "grey"), item])
        assert caught.value.request_id
        if item.uri in ("missing", "text"):
            assert caught.value.metadata["uri"] == item.uri
            assert str(caught.value).startswith(f"{item.uri}: ")
    assert await shown(first, shop) == ["red", "green", "blue"]
    with pytest.raises(InvalidRequestError, match="at most 1000, got 1001"):
        await first.sync_product(shop, "bag", [Item(b"never read", str(number)) for number in range(1001)])
    with pytest.raises(NotFoundError):
        await first.sync_product("nowhere", "bag", [])


class Liar:
    """Says of the first so many times that it is asked that all images are stored."""

    def __init__(self, lies: int) -> None:
        self.lies, self.asked = lies, 0
        self._check = images.check

    async def __call__(self, call: Call, project: str, sha256s: Sequence[bytes], space: str) -> set[bytes]:
        self.asked += 1
        if self.asked <= self.lies:
            return set(sha256s)
        return await self._check(call, project, sha256s, space)


async def test_an_image_that_has_gone_since_it_was_asked_for_is_embedded_after_all(
    first: Client, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "check", Liar(1))
    result = await first.sync_product(shop, "bag", [Item(GREY, "grey"), Item(RED, "red")])
    assert [outcome.status for outcome in result.outcomes] == [Status.INDEXED, Status.UNCHANGED]
    monkeypatch.setattr(images, "check", liar := Liar(9))
    with pytest.raises(PreconditionError) as caught:
        await first.sync_product(shop, "bag", [Item(jpeg(colour="white"), "white")])
    assert caught.value.reason == "EMBEDDING_NEEDED"
    assert liar.asked == 2


async def test_a_file_that_changes_while_it_is_synced_is_refused(
    first: Client, shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(GREY)
    check = images.check

    async def check_and_change(*arguments: object) -> set[bytes]:
        file.write_bytes(jpeg(colour="white"))
        return await check(*arguments)

    monkeypatch.setattr(images, "check", check_and_change)
    with pytest.raises(UnreadableImageError, match="grey: the image changed"):
        await first.sync_product(shop, "bag", [Item(file, "grey")])


async def test_a_projects_limits_are_set_and_kept(first: Client, shop: str) -> None:
    assert (await first.get_project(shop)).limits == Limits()
    limits = Limits(max_images=3, max_hits=2, searches_per_second=1000.5, max_batch=7)
    assert (await first.update_project(shop, limits=limits)).limits == limits
    with pytest.raises(QuotaExceededError) as caught:
        await first.search(shop, image=RED, limit=3)
    assert (caught.value.reason, caught.value.retry_after) == ("HIT_QUOTA_EXCEEDED", None)
    with pytest.raises(QuotaExceededError):
        await first.sync_product(shop, "bag", [Item(GREY, "grey"), Item(RED, "red"), Item(GREEN, "green")])
    for limits in (Limits(max_hits=-1), Limits(max_batch=2**40)):
        with pytest.raises(InvalidRequestError):
            await first.update_project(shop, limits=limits)
    await first.create_project(f"{shop}-limited", limits=Limits(max_images=1))
    assert (await first.get_project(f"{shop}-limited")).limits == Limits(max_images=1)
    await first.delete_project(f"{shop}-limited")


async def test_an_image_beyond_the_limit_fails_and_is_not_tried_again(
    first: Client, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    fetch = Fetcher.fetch

    async def noted(self: Fetcher, item: Item, stamp: str, room: Room | None) -> Fetched | None:
        read.append(item.uri)
        return await fetch(self, item, stamp, room)

    monkeypatch.setattr(Fetcher, "fetch", noted)
    await first.update_project(shop, limits=Limits(max_images=3))
    outcomes = await index(first, shop, [Item(GREY, "grey"), Item(RED, "red-again")])
    assert outcomes["red-again"].status is Status.INDEXED
    assert isinstance(outcomes["grey"].error, QuotaExceededError)
    assert sorted(read) == ["grey", "red-again"]


async def test_a_new_model_comes_without_an_outage(first: Client, second: Client, shop: str) -> None:
    old, new = (await first.model()).space, (await second.model()).space
    made = await second.create_space(shop)
    assert [(space.name, space.serves, space.vector_count) for space in made.spaces] == [
        (old, True, 3),
        (new, False, 0),
    ]
    with pytest.raises(AlreadyExistsError):
        await second.create_space(shop)
    assert await shown(first, shop, missing_in_space=new) == ["red", "green", "blue"]
    with pytest.raises(PreconditionError):
        await first.cut_over_space(shop, new)

    items = [Item(RED, "red", "bag"), Item(GREEN, "green", "bag", labels={"size": "m"})]
    outcomes = await index(second, shop, items)
    assert {outcome.status for outcome in outcomes.values()} == {Status.INDEXED}
    assert await first.check_images(shop, [bytes.fromhex(hash_of(BLUE))], space=new) == set()
    await second.sync_product(shop, "hat", [Item(BLUE, "blue")])
    assert await shown(first, shop, missing_in_space=new) == []
    outcomes = await index(second, shop, items)
    assert {outcome.status for outcome in outcomes.values()} == {Status.UNCHANGED}

    compared = await first.compare_spaces(shop, new, limit=2)
    assert (compared.sample_count, compared.overlap) == (3, 1)
    assert (compared.serving.space, compared.other.space) == (old, new)
    assert (await second.search(shop, image=RED, space=new)).space == new
    assert (await first.search(shop, image=RED)).space == old
    with pytest.raises(PreconditionError):
        await first.delete_space(shop, old)
    assert (await first.cut_over_space(shop, new)).space == new
    assert (await second.search(shop, image=RED)).space == new
    assert [space.name for space in (await first.delete_space(shop, old)).spaces] == [new]


async def test_a_project_with_several_spaces_is_filled_in_none_but_its_own(
    first: Client, second: Client, shop: str
) -> None:
    """The run ends before anything is read."""
    await first.create_space(shop, "a-third-space")
    with pytest.raises(PreconditionError, match="'a-third-space'") as caught:
        await index(second, shop, [Item(b"never read", "uri")])
    assert caught.value.metadata["found"] == (await second.model()).space
    with pytest.raises(PreconditionError):
        await second.sync_product(shop, "bag", [Item(b"never read", "uri")])
