"""Duplicates that people can work with: proven on real photos, scoped, merged, dismissed; also on the command line."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

import pytest
from PIL import Image

from lookalike import (
    Client,
    DuplicateCluster,
    DuplicateProgress,
    FetchSettings,
    Filter,
    InvalidRequestError,
    Item,
    KeepRule,
    Match,
    MatchBasis,
    MergeResult,
    NotFoundError,
    PairCounts,
    Status,
)
from lookalike_searcher.copies import verification
from lookalike_searcher.copies.comparison_threads import ComparisonThreads
from lookalike_searcher.database.pool import Database
from lookalike_searcher.duplicates import proofs, survey
from lookalike_searcher.duplicates.duplicates import Duplicates
from lookalike_searcher.duplicates.query import DuplicateQuery
from lookalike_searcher.projects import registry
from tests.command_line import CommandLine, Done
from tests.pictures import encoded, shipped

LEAST = 0.5
"""The tests' vectors are thumbnails, which crops and other colours change much."""


@cache
def photos() -> dict[str, bytes]:
    """Two photos with copies, one of them in other colours, and two photos that nobody copied."""
    cat, coffee = shipped("chelsea.png"), shipped("coffee.png")
    red, green, blue = cat.split()
    width, height = cat.size
    return {
        "cat": encoded(cat, "PNG"),
        "small": encoded(cat.resize((width // 2, height // 2)), "JPEG", quality=80),
        "crop": encoded(cat.crop((width // 10, height // 10, width, height)), "JPEG", quality=90),
        "turned": encoded(Image.merge("RGB", (blue, red, green)), "JPEG", quality=90),
        "coffee": encoded(coffee, "JPEG", quality=60),
        "coffee-larger": encoded(coffee, "JPEG", quality=95),
        "astronaut": encoded(shipped("astronaut.png"), "JPEG"),
        "rocket": encoded(shipped("rocket.jpg"), "JPEG"),
    }


def hash_of(name: str) -> str:
    return sha256(photos()[name]).hexdigest()


NAMES = {hash_of(name): name for name in photos()}


def item(name: str, uri: str = "", **fields: Any) -> Item:  # noqa: ANN401 - those of an item
    return Item(photos()[name], uri or f"https://shop/{name}", **fields)


async def filled(client: Client, project: str, items: list[Item]) -> None:
    for one in items:  # so that they are indexed in this order
        assert [outcome.error async for outcome in client.index(project, [one])] == [None]


@pytest.fixture
async def shop(client: Client, project: str) -> str:
    await filled(client, project, [item(name, product=name, labels={"first": name[0]}) for name in photos()])
    return project


async def found(client: Client, project: str, **options: Any) -> list[DuplicateCluster]:  # noqa: ANN401
    options = {"min_similarity": LEAST} | options
    return [cluster async for cluster in client.find_duplicates(project, **options)]


def names(clusters: list[DuplicateCluster]) -> list[list[str]]:
    return [[NAMES[member.image.sha256] for member in cluster.images] for cluster in clusters]


def sets(clusters: list[DuplicateCluster]) -> set[frozenset[str]]:
    return set(map(frozenset, names(clusters)))


CATS, COFFEES = frozenset({"cat", "small", "crop"}), frozenset({"coffee", "coffee-larger"})


async def test_only_what_is_proven_is_a_duplicate_and_each_image_says_what_was_done(client: Client, shop: str) -> None:
    clusters = await found(client, shop)
    assert sets(clusters) == {CATS, COFFEES}
    members = {NAMES[member.image.sha256]: member for cluster in clusters for member in cluster.images}
    assert {(member.match, member.match_basis) for member in members.values()} == {
        (Match.NEAR_DUPLICATE, MatchBasis.FINGERPRINT)
    }
    assert all(member.proof for member in members.values())
    assert members["crop"].proof
    assert members["crop"].proof.cropped
    assert NAMES[members["coffee"].nearest_sha256] == "coffee-larger"
    assert names(clusters)[1] == ["coffee-larger", "coffee"], "as many pixels, and more bytes"
    assert members["coffee"].image.file_size == len(photos()["coffee"])
    counts = clusters[-1].progress.pairs
    assert counts.near_count > counts.verified_count > counts.proven_count >= 3
    assert (counts.recoloured_count > 0, counts.cosine_count, counts.unverified_count) == (True, 0, 0)
    [cats, _] = await found(client, shop, recoloured=True)
    assert frozenset(names([cats])[0]) == CATS | {"turned"}
    turned = next(member for member in cats.images if NAMES[member.image.sha256] == "turned")
    assert turned.match is Match.RECOLOURED


async def test_the_order_of_indexing_changes_nothing_that_is_proven(client: Client, shop: str) -> None:
    def told(clusters: list[DuplicateCluster]) -> set[tuple[object, ...]]:
        return {
            (member.image.sha256, member.nearest_sha256, round(member.similarity, 5), member.match)
            for cluster in clusters
            for member in cluster.images
        }

    expected = told(await found(client, shop))
    order = sorted(photos(), key=hash_of)
    other = f"{shop}-permuted"
    await client.create_project(other)
    try:
        await filled(client, other, [item(name) for name in order])
        assert told(await found(client, other)) == expected
    finally:
        await client.delete_project(other)


async def test_what_has_no_fingerprint_is_told_by_the_cosine_and_says_so(client: Client, shop: str) -> None:
    """Two photos of before: thumbnails say that all is alike at a low threshold."""
    await client.update_project(shop, fingerprints_enabled=False)
    flipped = encoded(shipped("coffee.png").rotate(180), "JPEG")
    assert [one.error async for one in client.index(shop, [Item(flipped, "flipped")])] == [None]
    by_cosine = [m for cluster in await found(client, shop) for m in cluster.images if m.match_basis == "cosine"]
    assert by_cosine
    assert not any(member.proof for member in by_cosine)
    strict = [m.image.references[0].uri for c in await found(client, shop, min_similarity=None) for m in c.images]
    assert "flipped" not in strict
    unverified = await found(client, shop, verify=False, min_similarity=0.6)
    assert {member.match_basis for cluster in unverified for member in cluster.images} == {MatchBasis.COSINE}


@pytest.mark.parametrize(("name", "value"), [("MAX_VERIFIED", 0), ("MAX_FAILED", 0), ("MAX_PAIRS", 2)])
async def test_what_was_not_verified_is_counted(
    client: Client, shop: str, monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    monkeypatch.setattr(survey, name, value)
    told: list[DuplicateProgress] = []
    await found(client, shop, on_progress=told.append)
    counts = told[-1].pairs
    assert counts.unverified_count > 0
    assert counts.verified_count <= max(value, 0)
    assert counts.near_count >= counts.unverified_count + counts.verified_count


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({"filter": Filter(uri_prefix="https://shop/c")}, {frozenset({"cat", "crop"}), COFFEES}),
        (
            {"filter": Filter(labels={"first": "s"}), "other": Filter(labels={"first": "c"})},
            {CATS},
        ),
        ({"filter": Filter(products=["small", "coffee"]), "rest": True}, {CATS, COFFEES}),
        ({"filter": Filter(products=["rocket"]), "rest": True}, set()),
        ({"across_products": True}, {CATS, COFFEES}),
    ],
)
async def test_a_scope_says_which_pairs_are_meant(
    client: Client, shop: str, scope: dict[str, Any], expected: set[frozenset[str]]
) -> None:
    assert sets(await found(client, shop, **scope)) == expected


async def test_pairs_of_one_product_are_left_out_and_so_are_those_of_before(client: Client, project: str) -> None:
    await filled(client, project, [item(name, product="bag") for name in ("cat", "small")])
    assert await found(client, project, across_products=True) == []
    since = (await client.get_image(project, uri="https://shop/small")).create_time + timedelta(microseconds=1)
    assert await found(client, project, newer_than=since) == []
    await filled(client, project, [item("coffee"), item("crop", product="hat")])
    assert sets(await found(client, project, across_products=True)) == {CATS}
    assert sets(await found(client, project, newer_than=since)) == {CATS}
    await filled(client, project, [item("coffee", "again", product="bag")])
    assert names(await found(client, project, same_file_only=True)) == [["coffee"]]
    assert await found(client, project, same_file_only=True, across_products=True) == []
    assert await found(client, project, same_file_only=True, newer_than=datetime.now(UTC) + timedelta(days=1)) == []
    used = Filter(products=["bag"])
    assert names(await found(client, project, same_file_only=True, filter=used, rest=True)) == [["coffee"]]
    for bad in ({"rest": True}, {"filter": used, "other": used, "rest": True}):
        with pytest.raises(InvalidRequestError, match="rest: "):
            await found(client, project, **bad)


@pytest.mark.parametrize(
    ("rule", "first"), [(KeepRule.LARGEST, "cat"), (KeepRule.OLDEST, "small"), (KeepRule.MOST_USED, "crop")]
)
async def test_what_to_keep_is_told_by_a_rule(client: Client, project: str, rule: KeepRule, first: str) -> None:
    await filled(client, project, [item("small"), item("crop"), item("crop", "again", product="bag"), item("cat")])
    [cluster] = await found(client, project, keep=rule)
    assert (names([cluster])[0][0], cluster.keep) == (first, rule)
    assert {NAMES[m.image.sha256]: m.product_count for m in cluster.images} == {"small": 0, "crop": 1, "cat": 0}


async def test_sizes_of_files_that_were_indexed_before_are_filled_in(
    client: Client, project: str, database: Database
) -> None:
    await filled(client, project, [item("cat"), item("small")])
    async with registry.writing(database, project) as (connection, found_project):
        await connection.execute(f"UPDATE p{found_project.id}.image SET file_size = 0")  # noqa: S608
    again = [outcome async for outcome in client.index(project, [item("cat")], fetch=FetchSettings(reread=True))]
    assert [outcome.status for outcome in again] == [Status.UNCHANGED]
    sizes = [image.file_size async for image in client.list_images(project)]
    assert sizes == [len(photos()["cat"]), 0]


async def test_merging_moves_every_reference_once_and_again_changes_nothing(client: Client, project: str) -> None:
    labels = {"season": "summer"}
    await filled(
        client, project, [item("cat"), item("small", product="bag", labels=labels), item("small", "2"), item("crop")]
    )
    gone = [hash_of("small"), hash_of("crop")]
    before = {(r.uri, r.product) async for r in references(client, project)}
    would = await client.merge_duplicates(project, hash_of("cat"), gone, dry_run=True)
    assert await client.merge_duplicates(project, hash_of("cat"), gone) == would == MergeResult(3, 2)
    assert await client.merge_duplicates(project, hash_of("cat"), gone) == MergeResult(0, 0)
    kept = await client.get_image(project, sha256=hash_of("cat"))
    assert {(r.uri, r.product) for r in kept.references} == before
    assert kept.reference_count == 4
    assert next(r for r in kept.references if r.product == "bag").labels == labels
    shown = await client.get_project(project)
    assert (shown.image_count, shown.reference_count) == (1, 4)
    assert await found(client, project, keep=KeepRule.OLDEST, verify=False) != []
    with pytest.raises(NotFoundError):
        await client.merge_duplicates(project, gone[0], [hash_of("cat")])
    with pytest.raises(InvalidRequestError, match=r"duplicate_sha256s\[1\]: must not be the kept image"):
        await client.merge_duplicates(project, gone[0], [hash_of("cat"), gone[0]])


async def references(client: Client, project: str) -> AsyncIterator[Any]:
    async for image in client.list_images(project):
        for reference in image.references:
            yield reference


async def test_what_was_said_to_be_no_duplicate_is_remembered_until_it_is_taken_back(client: Client, shop: str) -> None:
    assert await client.dismiss_duplicates(shop, [hash_of("cat"), hash_of("small")]) == 1
    clusters = await found(client, shop)
    assert all(not {"cat", "small"} <= one for one in sets(clusters)), "the crop is with the nearer of both"
    assert COFFEES in sets(clusters)
    assert clusters[-1].progress.pairs.dismissed_count >= 1
    assert await client.dismiss_duplicates(shop, [hash_of(name) for name in CATS]) == 2
    assert sets(await found(client, shop)) == {COFFEES}
    listed = [dismissal async for dismissal in client.list_dismissals(shop)]
    assert len(listed) == 3
    assert all(one.sha256 < one.other_sha256 for one in listed)
    page = await client.dismissal_page(shop, size=2)
    rest = await client.dismissal_page(shop, size=2, page_token=page.next_page_token)
    assert [*page.dismissals, *rest.dismissals] == listed
    await client.delete_images(shop, sha256s=[hash_of("small")])
    await filled(client, shop, [item("small")])
    assert sets(await found(client, shop)) == {COFFEES}, "a hash is remembered, whatever becomes of its image"
    assert await client.delete_dismissals(shop, [hash_of("cat"), hash_of("rocket")]) == 0
    assert await client.delete_dismissals(shop, [hash_of("cat"), hash_of("small")]) == 1
    assert await client.delete_dismissals(shop, [hash_of("crop")]) == 2
    assert sets(await found(client, shop)) == {CATS, COFFEES}
    for few in ([hash_of("cat")], [hash_of("cat")] * 2):
        with pytest.raises(InvalidRequestError, match="sha256s: must "):
            await client.dismiss_duplicates(shop, few)


async def test_who_leaves_while_pairs_are_verified_loses_nothing(
    client: Client, shop: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is being compared is finished, and no more; the same search goes on with what it knows."""
    verify, compared, reached = verification.verify, list[object](), asyncio.Event()
    loop = asyncio.get_running_loop()

    def counted(*sides: Any) -> object:  # noqa: ANN401 - those of the function
        compared.append(sides)
        loop.call_soon_threadsafe(reached.set)
        return verify(*sides)

    monkeypatch.setattr(verification, "verify", counted)
    monkeypatch.setattr(survey, "_BATCH", 3)
    query = DuplicateQuery(shop, LEAST, verify=True)
    async with ComparisonThreads(1) as threads:
        finder = Duplicates(database, threads, sign_seconds=0)
        async with aclosing(finder.find(query)) as signs:
            place = (await anext(signs)).place
            task = asyncio.create_task(_drained(signs))
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        whole = await _drained(Duplicates(database, threads).find(query))
        resumed = await _drained(finder.find(DuplicateQuery(shop, LEAST, verify=True, after=place)))
    assert resumed == whole
    assert len(whole) == 2


async def test_nothing_is_proven_twice_unless_there_is_no_room_for_proofs(
    shop: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify, compared = verification.verify, list[object]()

    def counted(*sides: Any) -> object:  # noqa: ANN401 - those of the function
        compared.append(sides)
        return verify(*sides)

    monkeypatch.setattr(verification, "verify", counted)
    query = DuplicateQuery(shop, LEAST, verify=True, recoloured=True)
    async with ComparisonThreads(1) as threads:
        told = [progress async for progress in Duplicates(database, threads).find(query)]
        counts = told[-1].counts
        assert counts
        assert len(compared) == counts.verified
        monkeypatch.setattr(proofs, "MAX_KEPT", 0)
        made_again = [progress async for progress in Duplicates(database, threads).find(query)]
    members = [member for progress in told if progress.cluster for member in progress.cluster.members]
    assert all(member.proof for member in members)
    assert len(compared) == 2 * counts.verified + len(members)
    assert [progress.cluster for progress in made_again] == [progress.cluster for progress in told]


async def _drained(found: AsyncIterator[Any]) -> list[list[bytes]]:
    return [
        [member.image.sha256 for member in progress.cluster.members] async for progress in found if progress.cluster
    ]


async def test_the_command_line_shows_merges_and_dismisses(client: Client, shop: str, commands: CommandLine) -> None:
    _, searcher = client._servers._addresses.values()
    environment = {"LOOKALIKE_SEARCHER": searcher}

    async def run(*words: str) -> Done:
        return await asyncio.to_thread(commands.run, *words, environment=environment)

    shown = await run("duplicates", shop, "--min-similarity", "0.5")
    assert shown.code == 0
    assert "3 images; keep the first (largest)" in shown.output
    assert "cropped to" in shown.output
    assert "2 clusters among 8 images" in shown.output
    assert "proven to be copies" in shown.errors
    assert "show the same photo in other colours" in shown.errors
    dismissed = await run("dismissals", "add", shop, "https://shop/coffee", hash_of("coffee-larger"))
    assert dismissed.output == "dismissed 1 pair\n"
    [line] = (await run("dismissals", "export", shop)).output.splitlines()
    assert set(json.loads(line)) == {"sha256", "otherSha256", "createTime"}
    find = ("duplicates", shop, "--min-similarity", "0.5", "--json")
    [cats] = map(json.loads, (await run(*find)).output.splitlines())
    assert cats["images"][1]["matchBasis"] == "fingerprint"
    would = await run(*find, "--delete", "--dry-run")
    assert "images would be deleted: 2; references would be moved: 2" in would.errors
    done = await run(*find, "--delete", "--yes")
    assert "images deleted: 2; references moved: 2" in done.errors
    [kept] = map(json.loads, (await run(*find)).output.splitlines())
    assert (kept["imageCount"], kept["images"][0]["referenceCount"]) == (1, 3), "one file, in three places"
    assert (await run("dismissals", "delete", shop, hash_of("coffee"))).output == "took back 1 pair\n"
    refused = await run(*find, "--delete", "--recoloured")
    assert refused.code == 2
    items = [item("rocket", f"https://shop/none/{n}", product=str(n)) for n in range(40)]
    async for outcome in client.index(shop, items, fetch=FetchSettings(reread=True)):
        assert outcome.error is None
    [_, one, clusters] = (await run("duplicates", shop, "--same-file")).output.splitlines()
    assert one.startswith(f"used in 41 places by 41 products: {hash_of('rocket')[:12]} https://shop/rocket, ")
    assert clusters == "2 clusters among 6 images"


async def test_a_search_tells_what_it_counted_where_nothing_is_near(client: Client, project: str) -> None:
    await filled(client, project, [item("rocket")])
    told: list[DuplicateProgress] = []
    assert await found(client, project, on_progress=told.append) == []
    assert (told[-1].pairs, told[-1].examined_count) == (PairCounts(), 1)
