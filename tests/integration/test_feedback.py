"""What users thought of hits is recorded once, listed whole, measured as by hand, and kept to its project."""

import asyncio
import json
import struct
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from lookalike import (
    Client,
    Embedding,
    Feedback,
    HitVerdict,
    InvalidRequestError,
    NotFoundError,
    PreconditionError,
    Query,
    QuotaExceededError,
    Verdict,
)
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.database.pool import Database, connect
from lookalike_searcher.feedback import feedback, retention
from lookalike_searcher.feedback.feedback import Judged
from lookalike_searcher.feedback.impressions import Impressions
from lookalike_searcher.quota import QuotaExceeded
from lookalike_searcher.search import search_id
from lookalike_searcher.search.search_id import SearchId
from tests.command_line import CommandLine
from tests.indexer import Writer, sha256, vector

RIGHT, WRONG, CLICKED = Verdict.RIGHT, Verdict.WRONG, Verdict.CLICKED
SPACE = "s"


def said(image: int, rank: int, verdict: Verdict) -> HitVerdict:
    return HitVerdict(sha256(image).hex(), rank, verdict)


def state(one: Feedback) -> list[tuple[int, Verdict | None, bool]]:
    return [(hit.rank, hit.verdict, hit.clicked) for hit in one.hits]


def earlier(name: str, days: float) -> str:
    """A search of the same project, so many days ago."""
    project_id = search_id.parse(name, "search_id").project_id
    return search_id.text(struct.pack(">II8s", project_id, int(time.time() - days * 86400), uuid.uuid4().bytes[:8]))


@pytest.fixture
async def shop(quick_client: Client, searcher_channel: object) -> AsyncIterator[str]:
    """A project of four images, made from numbers."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    await quick_client.create_project(name, space=SPACE)
    writer = Writer(SearcherServiceStub(searcher_channel), name, SPACE)
    await writer.send(*(writer.request(seed) for seed in range(4)))
    yield name
    await quick_client.delete_project(name)


async def search(client: Client, shop: str, image: int = 0) -> str:
    return (await client.search(shop, sha256=sha256(image).hex())).search_id


async def listed(client: Client, shop: str) -> list[Feedback]:
    return [one async for one in client.list_feedback(shop)]


async def test_a_verdict_counts_once_a_later_one_replaces_it_and_a_click_stays(quick_client: Client, shop: str) -> None:
    name = await search(quick_client, shop)
    assert (
        await quick_client.record_feedback(shop, name, [said(1, 2, RIGHT), said(1, 2, CLICKED), said(2, 3, WRONG)]) == 3
    )
    assert (
        await quick_client.record_feedback(shop, name, [said(1, 2, RIGHT), said(1, 2, CLICKED), said(2, 3, WRONG)]) == 0
    )
    assert await quick_client.record_feedback(shop, name, [said(1, 2, WRONG)]) == 1
    [found] = await listed(quick_client, shop)
    assert found.search_id == name
    assert state(found) == [(2, WRONG, True), (3, WRONG, False)]
    assert abs(found.search_time - datetime.now(UTC)) < timedelta(minutes=5)


async def test_the_query_is_stored_as_far_as_it_is_given_and_then_stays(quick_client: Client, shop: str) -> None:
    name = await search(quick_client, shop)
    await quick_client.record_feedback(shop, name, [said(1, 2, RIGHT)])
    [found] = await listed(quick_client, shop)
    assert (found.query_sha256, found.query_stored, found.query_embedding) == ("", False, None)
    await quick_client.record_feedback(shop, name, [said(1, 2, RIGHT)], uri="https://shop/0.jpg")
    await quick_client.record_feedback(shop, name, [said(1, 2, RIGHT)], sha256=sha256(3).hex())
    [found] = await listed(quick_client, shop)
    assert (found.query_sha256, found.query_stored) == (sha256(0).hex(), True)


async def test_a_photo_from_outside_is_learnt_from_by_its_vector(quick_client: Client, shop: str) -> None:
    photo = Embedding(SPACE, tuple(vector(9).tolist()))
    result = await quick_client.search(shop, embedding=photo)
    hash_ = sha256(9).hex()
    await quick_client.record_feedback(shop, result.search_id, [said(1, 1, RIGHT)], sha256=hash_, embedding=photo)
    [found] = await listed(quick_client, shop)
    assert (found.query_sha256, found.query_stored) == (hash_, False)
    assert found.query_embedding is not None
    assert found.query_embedding.space == SPACE
    assert found.query_embedding.values == pytest.approx(photo.values, abs=1e-3)
    with pytest.raises(PreconditionError, match="other"):
        foreign = Embedding("other", photo.values)
        await quick_client.record_feedback(shop, result.search_id, [said(1, 1, RIGHT)], embedding=foreign)


async def test_feedback_outlives_images_and_is_taken_while_searches_are_off(quick_client: Client, shop: str) -> None:
    name = await search(quick_client, shop)
    await quick_client.update_project(shop, search_enabled=False)
    await quick_client.delete_images(shop, sha256s=sha256(1).hex())
    await quick_client.record_feedback(shop, name, [said(1, 2, RIGHT), said(2, 3, RIGHT)])
    [found] = await listed(quick_client, shop)
    assert [hit.stored for hit in found.hits] == [False, True]


async def test_a_search_of_another_project_and_what_is_none_are_refused(quick_client: Client, shop: str) -> None:
    name = await search(quick_client, shop)
    other = f"{shop}-2"
    await quick_client.create_project(other, space=SPACE)
    for wrong in (name, "nonsense", "", name + "A", earlier(name, -1)):
        with pytest.raises(InvalidRequestError, match="search_id"):
            await quick_client.record_feedback(other, wrong, [said(1, 1, RIGHT)])
    assert await listed(quick_client, other) == []
    await quick_client.delete_project(other)
    with pytest.raises(InvalidRequestError, match="of the last 365 days"):
        await quick_client.record_feedback(shop, earlier(name, 366), [said(1, 1, RIGHT)])
    with pytest.raises(NotFoundError):
        await quick_client.record_feedback(shop, name, [said(1, 1, RIGHT)], uri="https://nowhere")
    with pytest.raises(NotFoundError):
        await quick_client.record_feedback("nowhere", name, [said(1, 1, RIGHT)])
    assert await listed(quick_client, shop) == []


async def test_two_who_judge_the_same_search_at_once_lose_nothing(quick_client: Client, shop: str) -> None:
    name = await search(quick_client, shop)
    changes = await asyncio.gather(
        *(
            quick_client.record_feedback(shop, name, [said(image, image + 1, RIGHT)])
            for image in range(4)
            for _ in range(3)
        ),
        *(quick_client.record_feedback(shop, name, [said(image, image + 1, CLICKED)]) for image in range(4)),
    )
    assert sum(changes) == 8
    [found] = await listed(quick_client, shop)
    assert state(found) == [(rank, RIGHT, True) for rank in range(1, 5)]


async def test_pages_are_whole_while_they_are_written_to(
    quick_client: Client, shop: str, searcher_channel: object
) -> None:
    stub = SearcherServiceStub(searcher_channel)
    name = await search(quick_client, shop)
    names = [earlier(name, days) for days in range(5)]  # listed by when they got feedback, not by when they were made
    for one in names:
        await quick_client.record_feedback(shop, one, [said(1, 1, RIGHT)])
    request, seen = wire.ListFeedbackRequest(project=shop, page_size=2), []
    while True:
        page = await stub.ListFeedback(request)
        seen += [one.search_id for one in page.feedback]
        if len(seen) == 2:
            await quick_client.record_feedback(shop, names[0], [said(1, 1, WRONG)])
            await quick_client.record_feedback(shop, name, [said(1, 1, RIGHT)])
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == [*names, name]


async def test_the_figures_are_those_made_by_hand(quick_client: Client, shop: str) -> None:
    names = [await search(quick_client, shop, image) for image in range(4)]
    await quick_client.search_batch(shop, [Query(sha256=sha256(0).hex())])
    pages = [page async for page in quick_client.search_pages(shop, Query(sha256=sha256(0).hex(), limit=2))]
    assert len({page.search_id for page in pages}) == 1 < len(pages)
    await quick_client.record_feedback(shop, names[0], [said(0, 1, WRONG), said(1, 2, RIGHT)])  # 1/2
    await quick_client.record_feedback(
        shop, names[1], [said(0, 1, WRONG), said(0, 1, CLICKED), said(2, 4, CLICKED)]
    )  # 1/4
    await quick_client.record_feedback(shop, names[2], [said(3, 1, WRONG)])  # 0
    await quick_client.record_feedback(shop, earlier(names[0], 20), [said(0, 1, RIGHT)])  # 1, but out of the week
    week, month = [await quick_client.search_quality(shop, days=days) for days in (7, 30)]
    assert (week.search_count, week.judged_search_count, week.clicked_search_count) == (6, 3, 1)
    assert (week.right_count, week.wrong_count) == (1, 3)
    assert week.click_through_rate == pytest.approx(1 / 6)
    assert week.mean_reciprocal_rank == pytest.approx((1 / 2 + 1 / 4 + 0) / 3)
    assert week.precision == pytest.approx(1 / 4)
    assert month.mean_reciprocal_rank == pytest.approx((1 / 2 + 1 / 4 + 0 + 1) / 4)
    empty = f"{shop}-3"
    await quick_client.create_project(empty, space=SPACE)
    none = await quick_client.search_quality(empty)
    assert (none.search_count, none.click_through_rate, none.mean_reciprocal_rank, none.precision) == (0, *[None] * 3)
    await quick_client.delete_project(empty)


async def test_feedback_goes_by_name_by_age_and_past_its_time(
    quick_client: Client, shop: str, database: Database
) -> None:
    new = await search(quick_client, shop)
    old, older, oldest = (earlier(new, days) for days in (10, 20, 30))
    for one in (new, old, older, oldest):
        await quick_client.record_feedback(shop, one, [said(1, 1, RIGHT)])
    assert await quick_client.delete_feedback(shop, search_ids=[old, old]) == 1
    assert await quick_client.delete_feedback(shop, before=datetime.now(UTC) - timedelta(days=25)) == 1
    await retention.sweep(database, timedelta(days=15))
    assert [one.search_id for one in await listed(quick_client, shop)] == [new]
    with pytest.raises(InvalidRequestError, match="search_ids"):
        await quick_client.delete_feedback(shop)


async def test_a_flood_is_refused_and_leaves_what_is_there(quick_client: Client, shop: str, database: Database) -> None:
    first, second = [search_id.parse(await search(quick_client, shop), "search_id") for _ in range(2)]

    async def record(one: SearchId) -> list[str]:
        judged = Judged(one, verdicts={sha256(1): feedback.Verdict(1, right=True)})
        return await feedback.record(database, shop, [judged], max_feedback=1, kept_for=None)

    assert await record(first) == ["right"]
    with pytest.raises(QuotaExceeded, match="at most 1 searches"):
        await record(second)
    assert await record(first) == []  # what is there may still be added to
    assert [one.search_id for one in await listed(quick_client, shop)] == [search_id.text(first.packed)]
    assert await quick_client.delete_feedback(shop, search_ids=search_id.text(first.packed)) == 1
    assert await record(second) == ["right"]


async def test_a_search_takes_feedback_on_so_many_hits(
    quick_client: Client, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback, "MAX_HITS", 2)
    name = await search(quick_client, shop)
    await quick_client.record_feedback(shop, name, [said(1, 1, RIGHT), said(2, 2, RIGHT)])
    with pytest.raises(QuotaExceededError, match="at most 2 hits"):
        await quick_client.record_feedback(shop, name, [said(3, 3, RIGHT)])


async def test_searches_are_counted_by_all_searchers_and_none_is_lost_at_the_end(
    quick_client: Client, shop: str, database: Database
) -> None:
    project_id = search_id.parse(await search(quick_client, shop), "search_id").project_id
    one, other = Impressions(database), Impressions(database)
    async with one.flushed_regularly(), other.flushed_regularly():
        for _ in range(3):
            one.count(project_id)
            other.count(project_id)
        one.count(2**31)  # a project that is gone
    assert (await quick_client.search_quality(shop)).search_count == 7


async def test_counts_wait_while_the_database_is_away(
    quick_client: Client, shop: str, database: Database, database_url: str
) -> None:
    project_id = search_id.parse(await search(quick_client, shop), "search_id").project_id
    async with connect(database_url, pool_size=1, command_timeout=30, migrate=False) as lost:
        impressions = Impressions(lost)
        impressions.count(project_id)
        lost.terminate()
        await impressions.flush()
        impressions._database = database  # it is back
        await impressions.flush()
    assert (await quick_client.search_quality(shop)).search_count == 2


async def test_the_command_line_exports_shows_and_deletes(
    quick_client: Client, shop: str, commands: CommandLine
) -> None:
    name = await search(quick_client, shop)
    await quick_client.record_feedback(shop, name, [said(1, 2, RIGHT)], sha256=sha256(0).hex())
    _, searcher = quick_client._servers._addresses.values()

    async def run(*arguments: str) -> str:
        done = await commands.ask(*arguments, "--searcher", searcher)
        assert done.code == 0
        return done.output

    exported, shown = await run("feedback", "export", shop), await run("project", "show", shop)
    [line] = map(json.loads, exported.splitlines())
    assert (line["searchId"], line["querySha256"], line["queryStored"]) == (name, sha256(0).hex(), True)
    assert [(hit["sha256"], hit["verdict"]) for hit in line["hits"]] == [(sha256(1).hex(), "right")]
    assert ["7", "1", "1", "0.000", "0.500", "1.000"] in map(str.split, shown.splitlines())
    assert await run("feedback", "delete", shop, "--search", name, "--yes") == "deleted the feedback on 1 search\n"
    assert await listed(quick_client, shop) == []
