"""A project tunes itself: what is learned helps, is proposed or chosen, serves, is watched, and is taken back."""

import logging
import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import numpy as np
import pytest

from lookalike import Client, PreconditionError, TuningPolicy, TuningStage
from lookalike.adapt.choose import MIN_IMAGES
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.config import Config
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.indexes.maintenance import Maintenance
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import registry
from lookalike_searcher.search.search_id import SearchId, text
from lookalike_searcher.tuning.load import Load
from lookalike_searcher.tuning.tuner import Tuner
from lookalike_serving.server import Server
from tests.command_line import CommandLine
from tests.indexer import INDEXED, Writer, sha256
from tests.integration.conftest import address
from tests.lock_holder import LockHolder
from tests.product_vectors import clusters

SPACE = "made-up-512-0123456789ab"
PRODUCTS = 25
CONFIG = Config(data_dir=Path("unused"), build_patience=0)


class Background:
    """What a searcher does in the background, when it is told to."""

    def __init__(self, database: Database) -> None:
        self.metrics, self.database = Metrics(), database
        self.maintenance = Maintenance(CONFIG, database, self.metrics)
        self.tuner = Tuner(CONFIG, database, self.metrics, Load(database))

    async def until_nothing_is_due(self) -> None:
        while await self.tuner.once() + await self.maintenance.once():
            pass


@pytest.fixture
async def background(database: Database) -> Background:
    return Background(database)


@pytest.fixture
async def client(searcher: Server) -> AsyncIterator[Client]:
    async with Client("127.0.0.1:1", address(searcher)) as client:
        yield client


@pytest.fixture
async def writer(searcher_channel: grpc.aio.Channel) -> AsyncIterator[Writer]:
    stub, name = SearcherServiceStub(searcher_channel), f"tuned-{uuid.uuid4().hex[:12]}"
    await stub.CreateProject(wire.CreateProjectRequest(name=name, space=SPACE))
    yield Writer(stub, name, SPACE)
    await stub.DeleteProject(wire.DeleteProjectRequest(name=name))


async def index(writer: Writer, *, noise: float = 1.0, products: int = PRODUCTS) -> None:
    """So many images as a project needs, of which the first ones show products, four each."""
    vectors, groups = clusters(MIN_IMAGES // 4, noise=noise)
    requests = []
    for seed, (values, group) in enumerate(zip(vectors, groups, strict=True)):
        request = writer.request(seed, product=f"p{group}" if group < products else "", embedded=False)
        request.embedding.CopyFrom(common.Embedding(space=SPACE, values=values))
        requests.append(request)
    assert await writer.send(*requests) == [INDEXED] * len(vectors)


async def judge(writer: Writer, database: Database, rank: int, *, age: timedelta = timedelta()) -> None:
    """Sixty searches whose right hit was at this rank."""
    project = await registry.get(database, writer.project)
    searches = [
        wire.SearchFeedback(
            search_id=text(SearchId(project.id, int((datetime.now(UTC) - age).timestamp()), os.urandom(8)).packed),
            verdicts=[wire.HitVerdict(sha256=sha256(number), rank=rank, verdict=wire.VERDICT_RIGHT)],
        )
        for number in range(60)
    ]
    await writer.stub.RecordFeedback(wire.RecordFeedbackRequest(project=writer.project, searches=searches))


async def test_what_helps_is_proposed_accepted_watched_and_taken_back(
    writer: Writer,
    client: Client,
    background: Background,
    database: Database,
    commands: CommandLine,
    searcher: Server,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "lookalike.audit")
    await index(writer)
    await judge(writer, database, 1, age=timedelta(days=1))
    await background.until_nothing_is_due()
    proposed = await client.get_project(writer.project)
    assert proposed.tuning_policy is TuningPolicy.PROPOSE
    assert proposed.tuning
    assert proposed.tuning.stage is TuningStage.PROPOSED
    assert [space.name for space in proposed.spaces] == [SPACE], "nothing is built before it is accepted"
    name, learning = proposed.tuning.space, proposed.tuning.learning
    assert learning
    assert (learning.method, learning.images, learning.products) == ("products", MIN_IMAGES, PRODUCTS)
    assert learning.gain
    assert learning.gain.helps
    assert learning.gain.products == PRODUCTS, "each is held out once"
    with pytest.raises(PreconditionError, match="not proposed") as caught:
        await client.update_project(writer.project, accept_space="another")
    assert caught.value.reason == "NOT_PROPOSED"
    shown = await commands.ask("project", "tuning", writer.project, "--searcher", address(searcher))
    accept = f"lookalike project tuning {writer.project} --accept {name}"
    assert accept in " ".join(shown.output.split())

    done = await commands.ask(*accept.split()[1:], "--searcher", address(searcher))
    assert done.code == 0
    assert await background.tuner.once() == 1
    assert await background.maintenance.once() == 1
    assert await background.tuner.once() == 0, "its vectors are still to be drawn towards their neighbours"
    await background.until_nothing_is_due()
    tuned = await client.get_project(writer.project)
    assert tuned.space == name
    assert tuned.spaces[0].learning == learning
    assert tuned.spaces[0].neighbours > 0
    assert f"drawn towards {tuned.spaces[0].neighbours} neighbours" in proposed.tuning.detail
    assert tuned.tuning
    assert tuned.tuning.stage is TuningStage.WATCHING

    async with database.connection() as connection:  # as if it had served for a minute
        await connection.execute("UPDATE lookalike_tuning SET step_time = step_time - interval '1 minute'")
    await judge(writer, database, 5)
    again = Background(database)
    await again.until_nothing_is_due()
    left = await client.get_project(writer.project)
    assert left.space == SPACE
    assert left.tuning
    assert (left.tuning.step, left.tuning.stage) == ("went back", TuningStage.IDLE)
    assert "MRR fell from 1.000 to 0.200" in left.tuning.detail
    steps = [record.method for record in caplog.records if writer.project in getattr(record, "projects", ())]
    steps = [step.removeprefix("Tuning/") for step in steps if step.startswith("Tuning/")]
    assert steps == ["proposed", "building", "cut over", "went back"]
    assert again.metrics.tuning.labels("went back")._value.get() == 1


async def test_an_index_that_is_due_comes_before_learning(writer: Writer, database: Database) -> None:
    await index(writer)

    async def may_learn(exact_threshold: int) -> bool:
        async with database.reading() as connection:
            due = await connection.fetch(statement("tuning_due"), MIN_IMAGES, 1.25, 50, exact_threshold)
        return writer.project in {row["project"] for row in due}

    assert await may_learn(MIN_IMAGES + 1)
    assert not await may_learn(MIN_IMAGES)
    await Maintenance(replace(CONFIG, exact_threshold=MIN_IMAGES), database, Metrics()).once()
    assert await may_learn(MIN_IMAGES)


async def test_half_of_the_mean_is_taken_out_where_products_are_too_few_to_measure(
    writer: Writer, client: Client, background: Background
) -> None:
    await client.update_project(writer.project, tuning_policy=TuningPolicy.AUTO)
    await index(writer, products=0)
    await background.until_nothing_is_due()
    tuned = await client.get_project(writer.project)
    learning = tuned.spaces[0].learning
    assert learning
    assert (learning.method, learning.gain, tuned.spaces[0].source) == ("mean", None, SPACE)
    vectors, _ = clusters(MIN_IMAGES // 4)
    centred = vectors - vectors.astype(np.float16).astype(np.float64).mean(axis=0) / 2
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    found = await writer.stub.Search(wire.SearchRequest(project=writer.project, sha256=sha256(3), limit=5))
    assert [hit.sha256 for hit in found.hits] == [sha256(int(n)) for n in np.argsort(-(centred @ centred[3]))[:5]]
    assert await background.tuner.once() == 0, "it has not grown since"


async def test_what_does_not_help_is_not_proposed_and_off_means_nothing(
    writer: Writer, client: Client, background: Background, lock_holder: LockHolder, database: Database
) -> None:
    await client.update_project(writer.project, tuning_policy=TuningPolicy.OFF)
    await index(writer, noise=0.01)
    await background.until_nothing_is_due()
    tuning = (await client.get_project(writer.project)).tuning
    assert tuning
    assert tuning.step == ""
    await client.update_project(writer.project, tuning_policy=TuningPolicy.AUTO)
    project = await registry.get(database, writer.project)
    await lock_holder.connection.execute(f"SELECT pg_advisory_lock(68772, {project.id})")
    assert await background.tuner.once() == 0, "another searcher is at it"
    await lock_holder.connection.execute(f"SELECT pg_advisory_unlock(68772, {project.id})")
    await background.until_nothing_is_due()
    project_now = await client.get_project(writer.project)
    assert project_now.tuning
    assert (project_now.tuning.step, project_now.space) == ("nothing helps", SPACE)
