"""What the maintenance task does to indexes, and what GetProject says of it."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import grpc
import numpy as np
import pytest

from lookalike import Client
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.config import Config
from lookalike_searcher.database import halfvec, walking
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, index_of, schema_of, statement, vectors_of
from lookalike_searcher.indexes import calibration, curve, index, maintenance
from lookalike_searcher.indexes.maintenance import Maintenance
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.space import MAX_EF_SEARCH, Space
from tests.indexer import INDEXED, Writer, sha256, vector
from tests.polling import until

IMAGES = 420
CONFIG = Config(data_dir=Path("unused"), exact_threshold=100, build_patience=0, recall_target=0.95)


@pytest.fixture(scope="module")
def stub(searcher_channel: grpc.aio.Channel) -> SearcherServiceStub:
    return SearcherServiceStub(searcher_channel)


@pytest.fixture
async def writer(client: Client, stub: SearcherServiceStub) -> AsyncIterator[Writer]:
    """A project of IMAGES images."""
    name = f"kept-{uuid.uuid4().hex[:12]}"
    space = (await client.create_project(name)).space
    writer = Writer(stub, name, space)
    requests = [writer.request(seed, product=f"p{seed % 50}") for seed in range(IMAGES)]
    assert await writer.send(*requests) == [INDEXED] * IMAGES
    yield writer
    await client.delete_project(name)


async def work(database: Database, config: Config = CONFIG) -> Metrics:
    """One look for work."""
    metrics = Metrics()
    await Maintenance(config, database, metrics).once()
    return metrics


def done(metrics: Metrics, job: str) -> float:
    return float(metrics.maintenance.labels(job, "done")._value.get())


async def space_of(database: Database, writer: Writer) -> tuple[Project, Space]:
    project = await registry.get(database, writer.project)
    return project, project.serving


async def state(writer: Writer) -> "wire.IndexState.ValueType":
    found = await writer.stub.GetProject(wire.GetProjectRequest(name=writer.project))
    return found.project.spaces[0].index.state


async def valid(database: Database, writer: Writer) -> bool | None:
    project, space = await space_of(database, writer)
    name = f"{schema_of(project.id)}.{index_of(space.id)}"
    async with database.reading() as connection:
        found = await connection.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)", name)
    assert found is None or isinstance(found, bool)
    return found


async def test_a_large_project_gets_an_index_and_a_small_one_none(
    writer: Writer, database: Database, project: str
) -> None:
    assert await state(writer) == wire.INDEX_STATE_NONE  # by the threshold of the server that answers
    await work(database)
    assert await state(writer) == wire.INDEX_STATE_READY
    assert await valid(database, writer) is True
    small = await writer.stub.GetProject(wire.GetProjectRequest(name=project))
    assert small.project.spaces[0].index.state == wire.INDEX_STATE_NONE
    assert done(await work(database), "build") == 0


@pytest.mark.parametrize(
    ("growth", "pause", "seconds", "builds"),
    [(50, 0, 30.0, False), (1, 0, 30.0, True), (50, 60, 30.0, True), (50, 0, 300.0, True)],
)
async def test_an_index_waits_for_an_import_but_not_for_a_trickle_nor_for_ever(
    writer: Writer,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    growth: int,
    pause: int,
    seconds: float,
    *,
    builds: bool,
) -> None:
    clock = iter([1000.0, 1000.0 + seconds])
    monkeypatch.setattr("lookalike_searcher.indexes.import_watch.time", SimpleNamespace(monotonic=lambda: next(clock)))
    metrics = Metrics()
    task = Maintenance(replace(CONFIG, exact_threshold=IMAGES, build_patience=30), database, metrics)
    await task.once()
    assert done(metrics, "build") == 0
    async with database.writing() as connection:
        await connection.execute(
            "UPDATE lookalike_project SET image_count = image_count + $2,"
            " update_time = now() - make_interval(secs => $3) WHERE name = $1",
            writer.project,
            growth,
            float(pause),
        )
    await task.once()
    assert done(metrics, "build") == builds


async def test_what_a_killed_builder_left_invalid_is_built_again(writer: Writer, database: Database) -> None:
    """As after kill -9 in the middle of the build."""
    project, space = await space_of(database, writer)
    table = f"{schema_of(project.id)}.{vectors_of(space.id)}"
    async with database.own_connection() as blocker, database.own_connection() as builder:
        await blocker.execute(f"BEGIN; LOCK {table} IN ROW EXCLUSIVE MODE")
        pid = await builder.fetchval("SELECT pg_backend_pid()")
        build = asyncio.create_task(index.build(builder, project.id, space.id))

        async def begun() -> bool:
            return await valid(database, writer) is False

        await until(begun)
        await blocker.execute(f"SELECT pg_terminate_backend({pid})")
        with pytest.raises(asyncpg.PostgresConnectionError):
            await build
    assert await valid(database, writer) is False
    await work(database)
    assert await valid(database, writer) is True
    assert await state(writer) == wire.INDEX_STATE_READY


async def test_an_index_that_was_finished_for_a_killed_builder_is_adopted(writer: Writer, database: Database) -> None:
    project, space = await space_of(database, writer)
    async with database.own_connection() as connection:
        await index.build(connection, project.id, space.id)
    assert (await space_of(database, writer))[1].index_time is None
    await work(database)
    assert (await space_of(database, writer))[1].index_time is not None


async def test_two_searchers_do_not_work_on_one_space_at_once(
    writer: Writer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()
    build = index.build

    async def slow(*arguments: object) -> None:
        entered.set()
        await go_on.wait()
        await build(*arguments)

    monkeypatch.setattr(index, "build", slow)
    first = asyncio.create_task(work(database))
    await entered.wait()
    assert done(await work(database), "build") == 0
    go_on.set()
    assert done(await first, "build") == 1


async def test_progress_is_told_while_an_index_is_built(writer: Writer, database: Database) -> None:
    project, space = await space_of(database, writer)
    table = f"{schema_of(project.id)}.{vectors_of(space.id)}"
    async with database.own_connection() as blocker, database.own_connection() as builder:
        await blocker.execute(f"BEGIN; LOCK {table} IN ROW EXCLUSIVE MODE")
        build = asyncio.create_task(index.build(builder, project.id, space.id))

        async def waits_for_the_blocker() -> bool:
            status = (await index.states(database, project, threshold=100))[space.id]
            assert 0 <= status.progress <= 1
            return status.state is index.IndexState.BUILDING and "waiting" in status.phase

        await until(waits_for_the_blocker)
        await blocker.execute("ROLLBACK")
        await build


async def test_deleted_images_are_cleaned_from_the_index(
    writer: Writer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await work(database)
    monkeypatch.setattr(maintenance, "_MIN_DEAD", 10)
    await writer.stub.DeleteImages(
        wire.DeleteImagesRequest(project=writer.project, sha256s=[sha256(seed) for seed in range(100)])
    )
    assert (await space_of(database, writer))[0].deleted_since_vacuum == 100
    assert done(await work(database), "vacuum") == 1
    assert (await space_of(database, writer))[0].deleted_since_vacuum == 0
    assert done(await work(database), "vacuum") == 0
    query = common.Embedding(space=writer.space, values=vector(5))  # deleted
    found = await writer.stub.Search(wire.SearchRequest(project=writer.project, embedding=query, limit=320))
    assert {hit.sha256 for hit in found.hits} == {sha256(seed) for seed in range(100, IMAGES)}


async def test_a_worn_out_index_is_made_anew(
    writer: Writer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await work(database)
    await writer.stub.DeleteImages(wire.DeleteImagesRequest(project=writer.project, sha256s=[sha256(1)]))
    monkeypatch.setattr(maintenance, "_STALE_EF_SEARCH", 0)
    assert done(await work(database, replace(CONFIG, recall_target=0.9)), "calibrate") == 1
    assert (await space_of(database, writer))[0].deleted_since_index == 0
    assert await valid(database, writer) is True


async def test_an_index_is_calibrated_for_the_target(
    writer: Writer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await work(database)
    before = (await space_of(database, writer))[1]
    assert before.ef_search_10 in curve.LADDER
    assert before.ef_search_100 in [step for step in curve.LADDER if step >= 100]
    monkeypatch.setattr(calibration, "LADDER", (100, 1000))
    await work(database, replace(CONFIG, recall_target=1.0))
    after = (await space_of(database, writer))[1]
    assert after.recall_target == 1.0
    assert {after.ef_search_10, after.ef_search_100} <= {100, 1000}


async def test_an_index_is_rebuilt_when_its_options_change(
    writer: Writer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await work(database)
    monkeypatch.setattr(index, "HNSW_OPTIONS", "m = 8, ef_construction = 32")
    assert done(await work(database), "rebuild") == 1
    project, space = await space_of(database, writer)
    name = f"{schema_of(project.id)}.{index_of(space.id)}"
    async with database.reading() as connection:
        options = await connection.fetchval("SELECT reloptions FROM pg_class WHERE oid = to_regclass($1)", name)
    assert options == ["m=8", "ef_construction=32"]
    assert await valid(database, writer) is True
    assert done(await work(database), "rebuild") == 0


async def test_a_calibration_asks_what_users_asked_and_is_shown(
    writer: Writer, database: Database, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = await work(database)
    [space] = (await client.get_project(writer.project)).spaces
    made = space.index.calibration
    assert made
    assert (made.image_count, made.query_count, made.real_query_count) == (IMAGES, 200, 0)
    assert [curve.hit_count for curve in made.curves] == [10, 100]
    [*_, chosen] = [rung for rung in made.curves[0].rungs if rung.ef_search <= space.index.ef_search]
    assert chosen.ef_search == space.index.ef_search
    shown = metrics.calibrated_recall.labels(writer.project, chosen.ef_search)._value.get()
    assert shown == chosen.recall >= 0.975  # half of the misses that the target allows
    real = halfvec.encode(np.array([vector(seed) for seed in range(1000, 1030)], np.float32))
    async with database.writing() as connection:
        for place, query in enumerate(real):
            await connection.execute(statement("query_keep"), writer.project, writer.space, place, query)
    await work(database, replace(CONFIG, recall_target=0.9))
    asked = (await client.get_project(writer.project)).spaces[0].index.calibration
    assert asked
    assert (asked.query_count, asked.real_query_count) == (200, 30)
    assert asked.create_time > made.create_time


async def test_the_same_index_is_calibrated_alike_each_time(writer: Writer, database: Database) -> None:
    await work(database)
    first, second = [await calibration.measure(database, writer.project, writer.space, 0.99) for _ in range(2)]
    for one, other in zip(first.curves, second.curves, strict=True):
        assert [rung.recall for rung in one.rungs] == [rung.recall for rung in other.rungs]


async def test_one_image_more_is_looked_at_as_the_index_has_another_order(
    project: str, stub: SearcherServiceStub, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a hundred-thousandth or so. Without it, calibrations and searches would miss the last hit of some queries."""
    query, count = vector(0), 36
    writer = Writer(stub, project, (await registry.get(database, project)).serving.name)
    requests = [writer.request(seed) for seed in range(1, count + 1)]
    for step, request in enumerate(requests):
        cosine, other = 0.5 + step * 1e-5, vector(step + 1) - vector(step + 1) @ query * query
        aside = other / np.linalg.norm(other) * (1 - cosine**2) ** 0.5
        request.embedding.CopyFrom(common.Embedding(space=writer.space, values=cosine * query + aside))
    assert await writer.send(*requests) == [INDEXED] * count
    await work(database, replace(CONFIG, exact_threshold=count))
    stored, space = await space_of(database, writer)
    encoded = halfvec.encode(query[np.newaxis])[0]
    async with database.reading(walking.settings(curve.LADDER[0])) as connection:
        rows = await connection.fetch(statement("index_nearest", stored.id, space.id), encoded, count)
    order = [row["distance"] for row in rows]
    nearest = sorted(order)
    lacking = (k for k in range(2, count) if set(order[:k]) != set(nearest[:k]) <= set(order[: k + 1]))
    limit = next(lacking)  # the index has the last of so many in the place after them
    async with database.writing() as connection:
        await connection.execute(statement("query_keep"), project, writer.space, 0, encoded)
    monkeypatch.setattr(calibration, "RECENT_QUERIES", 1)
    monkeypatch.setattr(calibration, "HIT_COUNTS", (limit,))
    measured = await calibration.measure(database, project, writer.space, 1.0)
    assert [rung.recall for rung in measured.curves[0].rungs] == [1.0]
    asked = wire.SearchRequest(project=project, embedding=common.Embedding(space=writer.space, values=query))
    asked.limit = limit
    found = await stub.Search(asked)
    asked.exact = True
    assert found.mode == wire.SEARCH_MODE_APPROXIMATE
    assert [hit.sha256 for hit in found.hits] == [hit.sha256 for hit in (await stub.Search(asked)).hits]


async def test_where_exact_rankings_are_chosen_searches_are_exact(
    writer: Writer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve, "HYSTERESIS", 0)
    await work(database)
    query = common.Embedding(space=writer.space, values=vector(5))
    response = await writer.stub.Search(wire.SearchRequest(project=writer.project, embedding=query))
    assert response.mode == wire.SEARCH_MODE_EXACT
    assert response.reason == wire.SEARCH_REASON_BELOW_THRESHOLD


async def test_a_project_that_has_shrunk_does_without_its_index(writer: Writer, database: Database) -> None:
    await work(database)
    products = [f"p{number}" for number in range(46)]
    await writer.stub.DeleteImages(wire.DeleteImagesRequest(project=writer.project, products=products))
    assert done(await work(database), "drop") == 1
    assert await valid(database, writer) is None
    assert await state(writer) == wire.INDEX_STATE_NONE


async def test_what_fails_is_tried_again(writer: Writer, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    build, metrics, failures = index.build, Metrics(), iter([OSError("away")])

    async def failing(*arguments: object) -> None:
        for failure in failures:
            raise failure
        await build(*arguments)

    monkeypatch.setattr(index, "build", failing)
    task = asyncio.create_task(Maintenance(replace(CONFIG, maintenance_interval=0.01), database, metrics).run())

    async def ready() -> bool:
        return await state(writer) == wire.INDEX_STATE_READY

    await until(ready)
    task.cancel()
    assert metrics.maintenance.labels("build", "failed")._value.get() == 1


def test_ef_search_follows_the_limit() -> None:
    space = Space(1, "s", 512, True, None, None, 80, 170, 0.99, 0.0, 0)
    assert space.ef_search(10) is None  # without an index
    space = replace(space, index_time="now")
    assert [space.ef_search(depth) for depth in (1, 10, 55, 100, 900)] == [80, 80, 125, 170, 970]
    assert space.ef_search(1000) == MAX_EF_SEARCH  # the most that pgvector can
    assert space.ef_search(1001) is None
    assert replace(space, ef_search_10=curve.EXACT).ef_search(1) is None
    exact_for_100 = replace(space, ef_search_100=curve.EXACT)
    assert exact_for_100.ef_search(10) == 80
    assert exact_for_100.ef_search(100) is None
    assert np.diff([space.ef_search(depth) or 0 for depth in range(1, 900)]).min() >= 0


async def test_one_failing_project_does_not_keep_others_waiting(
    writer: Writer, database: Database, stub: SearcherServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"broken-{uuid.uuid4().hex[:12]}"
    await stub.CreateProject(wire.CreateProjectRequest(name=name, space=writer.space))
    broken = Writer(stub, name, writer.space)
    await broken.send(*(broken.request(seed) for seed in range(401)))  # fewer than the other, so tried first
    build, failed = index.build, (await registry.get(database, name)).id

    async def failing(connection: Connection, project_id: int, space_id: int) -> None:
        if project_id == failed:
            raise OSError("away")
        await build(connection, project_id, space_id)

    monkeypatch.setattr(index, "build", failing)
    await work(database)
    assert await state(writer) == wire.INDEX_STATE_READY
    await stub.DeleteProject(wire.DeleteProjectRequest(name=name))


async def test_a_count_that_went_wrong_is_put_right(
    writer: Writer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await work(database)
    monkeypatch.setattr(maintenance, "_MIN_DEAD", 10)
    async with database.writing() as connection:
        await connection.execute(
            "UPDATE lookalike_project SET image_count = 500, reference_count = 1, deleted_since_vacuum = 100"
            " WHERE name = $1",
            writer.project,
        )
    await work(database)
    assert await writer.counts() == (IMAGES, IMAGES)
