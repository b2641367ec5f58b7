"""A new model without an outage: a second space is filled, compared, cut over to, rolled back, dropped."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np
import pytest

from lookalike import AlreadyExistsError, NotFoundError, PreconditionError
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.database.pool import Database
from lookalike_searcher.projects import registry
from tests.indexer import INDEXED, UNCHANGED, Writer, refused, sha256, vector
from tests.lock_holder import LockHolder

NEW = "a-new-model-512"
IMAGES = 40


def turned(seed: int) -> np.ndarray:
    """The vector of an image in the new space."""
    return np.roll(vector(seed), 7)


def in_new(writer: Writer, seed: int, *, both: bool = False) -> wire.IndexImagesRequest:
    request = writer.request(seed, product=f"p{seed // 4}", embedded=both)
    embedding = common.Embedding(space=NEW, values=turned(seed))
    if both:
        request.further_embeddings.append(embedding)
    else:
        request.embedding.CopyFrom(embedding)
    return request


@pytest.fixture
async def writer(searcher_channel: grpc.aio.Channel, project: str) -> Writer:
    """A project with a second, empty space."""
    stub = SearcherServiceStub(searcher_channel)
    found = await stub.GetProject(wire.GetProjectRequest(name=project))
    writer = Writer(stub, project, found.project.space)
    await writer.send(*(writer.request(seed, product=f"p{seed // 4}") for seed in range(IMAGES)))
    await stub.CreateSpace(wire.CreateSpaceRequest(project=project, space=NEW))
    return writer


async def fill(writer: Writer, seeds: Sequence[int] = range(IMAGES)) -> None:
    assert await writer.send(*(in_new(writer, seed) for seed in seeds)) == [INDEXED] * len(seeds)


async def spaces(writer: Writer) -> list[tuple[str, bool, int]]:
    found = await writer.stub.GetProject(wire.GetProjectRequest(name=writer.project))
    return [(space.name, space.serves, space.vector_count) for space in found.project.spaces]


async def nearest(writer: Writer, values: np.ndarray, space: str, asked: str = "") -> tuple[bytes, str, int]:
    embedding = common.Embedding(space=space, values=values)
    found = await writer.stub.Search(wire.SearchRequest(project=writer.project, embedding=embedding, space=asked))
    return found.hits[0].sha256, found.space, found.images_ranked


def cut_over(writer: Writer, space: str, **fields: bool) -> wire.CutOverSpaceRequest:
    return wire.CutOverSpaceRequest(project=writer.project, space=space, **fields)


async def test_a_second_space_is_filled_while_the_first_serves(writer: Writer) -> None:
    assert await spaces(writer) == [(writer.space, True, IMAGES), (NEW, False, 0)]
    await fill(writer, range(10))
    assert await writer.send(in_new(writer, 3)) == [UNCHANGED]
    assert await spaces(writer) == [(writer.space, True, IMAGES), (NEW, False, 10)]
    assert await nearest(writer, vector(5), writer.space) == (sha256(5), writer.space, IMAGES)
    assert await nearest(writer, turned(5), NEW, NEW) == (sha256(5), NEW, 10)


async def test_a_stored_image_is_featureless_once_a_vector_that_is_stored_for_it_says_so(writer: Writer) -> None:
    """A new model tells of images that were there before; a vector that is there already says nothing new."""

    async def featureless() -> list[int]:
        listed = await writer.stub.ListImages(wire.ListImagesRequest(project=writer.project))
        return [seed for seed, image in enumerate(listed.images) if image.featureless]

    again, new = writer.request(3, product="p0"), in_new(writer, 5)
    again.embedding.featureless = new.embedding.featureless = True
    assert await writer.send(again) == [UNCHANGED]
    assert await featureless() == []
    assert await writer.send(new) == [INDEXED]
    assert await featureless() == [5]
    assert await writer.send(writer.request(5, "https://shop/again.jpg", embedded=False)) == [INDEXED]
    assert await featureless() == [5]


async def test_what_is_missing_in_a_space_is_told(writer: Writer) -> None:
    await fill(writer, range(0, IMAGES, 2))
    hashes = [sha256(seed) for seed in range(IMAGES)]
    checked = await writer.stub.CheckImages(wire.CheckImagesRequest(project=writer.project, sha256s=hashes, space=NEW))
    assert set(checked.stored_sha256s) == {sha256(seed) for seed in range(0, IMAGES, 2)}
    listed = await writer.stub.ListImages(wire.ListImagesRequest(project=writer.project, missing_in_space=NEW))
    assert [image.sha256 for image in listed.images] == [sha256(seed) for seed in range(1, IMAGES, 2)]
    call = writer.stub.CheckImages(wire.CheckImagesRequest(project=writer.project, space="another"))
    assert isinstance(await refused(call), NotFoundError)


async def test_a_new_image_needs_a_vector_of_the_space_that_serves(writer: Writer) -> None:
    """Or it would be stored and never found."""
    assert await writer.send(in_new(writer, 100)) == ["EMBEDDING_NEEDED"]
    assert await writer.send(in_new(writer, 100, both=True)) == [INDEXED]
    assert await spaces(writer) == [(writer.space, True, IMAGES + 1), (NEW, False, 1)]


async def test_a_vector_of_the_wrong_space_is_refused_at_every_door(writer: Writer) -> None:
    foreign = common.Embedding(space="another", values=vector(1))
    of_new = common.Embedding(space=NEW, values=vector(1))
    asked = wire.SearchRequest(project=writer.project)
    requests = [
        wire.SearchRequest(embedding=foreign),
        wire.SearchRequest(embedding=of_new),  # which does not serve yet
        wire.SearchRequest(embedding=common.Embedding(space=writer.space, values=vector(1)), space=NEW),
        wire.SearchRequest(positives=[wire.Example(embedding=of_new)]),
    ]
    for request in requests:
        request.MergeFrom(asked)
        assert (await refused(writer.stub.Search(request))).reason == "WRONG_SPACE"
    sent = writer.request(200)
    sent.further_embeddings.append(foreign)
    assert await writer.send(sent) == ["WRONG_SPACE"]
    entry = wire.ImageEntry(sha256=sha256(200), embedding=foreign, reference=wire.Reference(uri="u"))
    synced = wire.SyncProductRequest(project=writer.project, product="p", entries=[entry])
    assert (await refused(writer.stub.SyncProduct(synced))).reason == "WRONG_SPACE"


async def test_cutting_over_waits_for_every_vector_and_can_be_taken_back(writer: Writer) -> None:
    await fill(writer, range(IMAGES - 1))
    error = await refused(writer.stub.CutOverSpace(cut_over(writer, NEW)))
    assert isinstance(error, PreconditionError)
    assert (error.reason, error.metadata["missing_images"]) == ("SPACE_INCOMPLETE", "1")
    await fill(writer, [IMAGES - 1])
    await writer.stub.CutOverSpace(cut_over(writer, NEW))
    assert await spaces(writer) == [(NEW, True, IMAGES), (writer.space, False, IMAGES)]
    assert await nearest(writer, turned(5), NEW) == (sha256(5), NEW, IMAGES)
    await writer.stub.CutOverSpace(cut_over(writer, writer.space))
    assert await nearest(writer, vector(5), writer.space) == (sha256(5), writer.space, IMAGES)


async def test_after_the_cut_over_writers_must_send_the_new_vectors(writer: Writer) -> None:
    await fill(writer)
    await writer.stub.CutOverSpace(cut_over(writer, NEW))
    assert await writer.send(writer.request(100)) == ["EMBEDDING_NEEDED"]
    assert await writer.send(in_new(writer, 100)) == [INDEXED]
    error = await refused(writer.stub.CutOverSpace(cut_over(writer, writer.space)))
    assert error.metadata["missing_images"] == "1"
    await writer.stub.CutOverSpace(cut_over(writer, writer.space, allow_incomplete=True))
    found = await nearest(writer, vector(5), writer.space)
    assert found == (sha256(5), writer.space, IMAGES)  # of IMAGES + 1, and the answer says so
    assert await writer.send(writer.request(100)) == [INDEXED]
    assert (await spaces(writer))[0] == (writer.space, True, IMAGES + 1)


async def test_searches_during_the_cut_over_are_made_in_the_one_or_the_other(writer: Writer) -> None:
    await fill(writer)
    stop = asyncio.Event()

    async def search() -> set[str]:
        seen = set()
        while not stop.is_set():
            found = await writer.stub.Search(wire.SearchRequest(project=writer.project, sha256=sha256(5)))
            assert found.images_ranked == IMAGES
            assert found.hits[0].sha256 == sha256(5)
            seen.add(found.space)
        return seen

    searches = [asyncio.create_task(search()) for _ in range(3)]
    for _ in range(5):
        for space in (NEW, writer.space):
            await writer.stub.CutOverSpace(cut_over(writer, space))
            await writer.stub.Search(wire.SearchRequest(project=writer.project, sha256=sha256(5)))
    stop.set()
    assert set.union(*await asyncio.gather(*searches)) == {NEW, writer.space}


async def test_two_spaces_are_compared_on_sampled_images(writer: Writer) -> None:
    await fill(writer)
    compared = await writer.stub.CompareSpaces(
        wire.CompareSpacesRequest(project=writer.project, space=NEW, sample_size=15, limit=5)
    )
    assert compared.sample_count == 15
    assert compared.overlap == pytest.approx(1)  # the new space is the old one, turned
    assert (compared.serving.space, compared.other.space) == (writer.space, NEW)
    assert compared.serving.same_product == pytest.approx(compared.other.same_product)
    assert compared.other.median_seconds > 0


async def test_a_space_that_does_not_serve_can_be_deleted(writer: Writer) -> None:
    def call(space: str) -> "grpc.aio.UnaryUnaryCall[Any, Any]":
        return writer.stub.DeleteSpace(wire.DeleteSpaceRequest(project=writer.project, space=space))

    await fill(writer)
    assert (await refused(call(writer.space))).reason == "SPACE_SERVES"
    await call(NEW)
    assert await spaces(writer) == [(writer.space, True, IMAGES)]
    assert isinstance(await refused(call(NEW)), NotFoundError)
    assert await writer.send(in_new(writer, 1)) == ["WRONG_SPACE"]


async def test_a_space_is_made_once(writer: Writer) -> None:
    for space in (NEW, writer.space):
        call = writer.stub.CreateSpace(wire.CreateSpaceRequest(project=writer.project, space=space))
        assert isinstance(await refused(call), AlreadyExistsError)


async def test_a_page_token_does_not_outlive_the_cut_over(writer: Writer) -> None:
    await fill(writer)
    asked = wire.SearchRequest(project=writer.project, sha256=sha256(5), limit=3)
    asked.page_token = (await writer.stub.Search(asked)).next_page_token
    await writer.stub.CutOverSpace(cut_over(writer, NEW))
    assert "page_token" in str(await refused(writer.stub.Search(asked)))


async def test_a_reader_does_not_see_a_space_that_was_dropped_before_it_held_the_project(
    writer: Writer, database: Database, lock_holder: LockHolder
) -> None:
    """Its snapshot, taken before, shows it; so the project must be read again."""
    await lock_holder.connection.execute("SELECT pg_advisory_lock(68771, 1)")
    snapshot_then_wait = "SELECT pg_advisory_xact_lock(68771, 1);"

    async def names() -> list[str]:
        async with registry.reading(database, writer.project, snapshot_then_wait) as (_, found):
            return [space.name for space in found.spaces]

    reading = asyncio.create_task(names())
    await lock_holder.until_waiting(1)
    await writer.stub.DeleteSpace(wire.DeleteSpaceRequest(project=writer.project, space=NEW))
    await lock_holder.connection.execute("SELECT pg_advisory_unlock(68771, 1)")
    assert await reading == [writer.space]
