"""The embedder over a real socket: answers, refusals, streams, health, reflection, and the end."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from PIL import Image

from lookalike import Client, InvalidRequestError, Item, OverloadedError, Status, errors
from lookalike.v1 import embedder_pb2 as wire
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceStub
from lookalike_embedder import loading, space
from lookalike_embedder import server as embedder_server
from lookalike_embedder.config import Config
from lookalike_embedder.errors import DeviceLost
from lookalike_embedder.image import Pixels
from lookalike_embedder.job import Lane
from lookalike_embedder.metrics import Metrics
from lookalike_embedder.projection import SHIPPED_SHA256
from lookalike_embedder.weights import Weights
from lookalike_serving.metrics_endpoint import metrics_served
from lookalike_serving.security.config import Security
from lookalike_serving.server import Server
from tests.pictures import encoded, jpeg
from tests.polling import until
from tests.refused_stream import refused_stream
from tests.signing import Signer, jwks

if TYPE_CHECKING:
    from lookalike_embedder.model import CpuModel, CudaModel


@pytest.fixture(scope="module")
async def embedder(
    embedder_config: Config, trunk: Weights, model: "CpuModel | CudaModel", first_worker: ThreadPoolExecutor
) -> AsyncIterator[Server]:
    """With the real model."""
    identity = space.vgg16(trunk.sha256, projection=SHIPPED_SHA256)
    description = loading.describe(embedder_config, identity, model.device, model.precision, 2)
    loaded = loading.Loaded(model, description)
    async with embedder_server.serving(embedder_config, loaded, first_worker, metrics=Metrics()) as server:
        yield server


@pytest.fixture(scope="module")
async def embedder_channel(embedder: Server) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{embedder.port}", options=options) as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(embedder_channel: grpc.aio.Channel) -> EmbedderServiceStub:
    return EmbedderServiceStub(embedder_channel)


async def requests(*images: bytes) -> AsyncIterator[wire.EmbedStreamRequest]:
    for sequence, data in enumerate(images, start=1):
        yield wire.EmbedStreamRequest(sequence=sequence, image=data)


async def test_get_model_says_what_answers_and_what_is_accepted(stub: EmbedderServiceStub, trunk: Weights) -> None:
    described = await stub.GetModel(wire.GetModelRequest())
    assert described.space.startswith("vgg16-layout512-")
    assert described.dimensions == 512
    assert described.weights_sha256 == trunk.sha256
    assert "JPEG" in described.formats
    assert described.max_image_bytes == 16 * 1024 * 1024


async def test_embed_answers_with_vector_and_what_the_image_is(stub: EmbedderServiceStub, photos: list[Path]) -> None:
    data = photos[0].read_bytes()
    answer = await stub.Embed(wire.EmbedRequest(image=data))
    assert np.linalg.norm(answer.embedding.values) == pytest.approx(1, abs=1e-5)
    assert answer.image_info.sha256 == hashlib.sha256(data).digest()
    found = answer.image_info
    assert (found.format, found.width, found.height, found.orientation) == ("PNG", 512, 512, 1)


async def test_an_answer_says_that_a_file_lacks_its_end(stub: EmbedderServiceStub) -> None:
    whole, cut = [await stub.Embed(wire.EmbedRequest(image=data)) for data in (jpeg(310, 200), jpeg(310, 200)[:-2])]
    assert (whole.image_info.end_missing, cut.image_info.end_missing) == (False, True)
    assert cut.embedding == whole.embedding


async def test_an_answer_says_where_the_time_went_and_the_same_file_is_embedded_once(
    stub: EmbedderServiceStub,
) -> None:
    data = jpeg(300, 200, "olive")
    first, again = [await stub.Embed(wire.EmbedRequest(image=data)) for _ in range(2)]
    assert first.timings.decode_microseconds > 0
    assert first.timings.compute_microseconds > 0
    assert not first.timings.cached
    assert again.timings.cached
    assert again.timings.compute_microseconds == 0
    assert again.embedding == first.embedding
    assert again.image_info == first.image_info


async def test_a_blank_frame_is_featureless_also_from_the_cache_and_in_a_stream(stub: EmbedderServiceStub) -> None:
    blank = encoded(Image.new("RGB", (40, 30), "khaki"), "PNG")
    answers = [await stub.Embed(wire.EmbedRequest(image=image)) for image in (blank, blank, jpeg(40, 30, "khaki"))]
    assert [answer.embedding.featureless for answer in answers] == [True, True, False]
    assert answers[1].timings.cached
    assert np.linalg.norm(answers[0].embedding.values) == pytest.approx(1, abs=1e-5)
    streamed = [answer async for answer in stub.EmbedStream(requests(blank))]
    assert streamed[0].embedding == answers[0].embedding


async def test_embed_and_embed_stream_give_the_same_vectors(stub: EmbedderServiceStub, photos: list[Path]) -> None:
    images = [photo.read_bytes() for photo in photos[:5]]
    alone = [(await stub.Embed(wire.EmbedRequest(image=data))).embedding.values for data in images]
    streamed = {answer.sequence: answer async for answer in stub.EmbedStream(requests(*images))}
    assert sorted(streamed) == list(range(1, len(images) + 1))
    for number, vector in enumerate(alone, start=1):
        assert np.dot(vector, streamed[number].embedding.values) >= 0.9999


BAD = {
    "EMPTY_IMAGE": b"",
    "UNSUPPORTED_FORMAT": b"text, not an image",
    "CORRUPT_IMAGE": jpeg(800, 600)[:1500],
    "TOO_MANY_PIXELS": encoded(Image.new("1", (10_000, 10_000)), "PNG"),
    "IMAGE_TOO_LARGE": jpeg() + bytes(16 * 1024 * 1024),
}


@pytest.mark.parametrize("reason", BAD)
async def test_embed_refuses_bad_input_with_details(stub: EmbedderServiceStub, reason: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Embed(wire.EmbedRequest(image=BAD[reason]))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    error = errors.from_rpc(caught.value, "embedder")
    assert isinstance(error, InvalidRequestError)
    assert error.reason == reason
    assert "image" in error.violations


async def test_bad_images_fail_alone_and_the_stream_goes_on(stub: EmbedderServiceStub, photos: list[Path]) -> None:
    good = photos[0].read_bytes()
    images = [good, *BAD.values(), good]
    answers = {answer.sequence: answer async for answer in stub.EmbedStream(requests(*images))}
    assert len(answers) == len(images)
    for sequence, reason in enumerate(BAD, start=2):
        assert answers[sequence].error.reason == reason
        assert answers[sequence].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert answers[1].embedding.values == answers[len(images)].embedding.values


def together(*images: bytes) -> wire.EmbedStreamRequest:
    return wire.EmbedStreamRequest(
        entries=[wire.EmbedEntry(sequence=number, image=data) for number, data in enumerate(images, start=1)]
    )


async def test_images_that_come_together_are_answered_as_those_that_come_alone(
    stub: EmbedderServiceStub, photos: list[Path]
) -> None:
    images = [*(photo.read_bytes() for photo in photos[:5]), *BAD.values()][:-1]  # the last alone fills a message
    alone = {answer.sequence: answer async for answer in stub.EmbedStream(requests(*images))}
    assert not any(answer.entries for answer in alone.values())
    messages = [message async for message in stub.EmbedStream(iter([together(*images)]))]
    answers = [answer for message in messages for answer in message.entries]
    assert sorted(answer.sequence for answer in answers) == sorted(alone)
    for answer in answers:
        assert answer.error == alone[answer.sequence].error
        assert answer.embedding == alone[answer.sequence].embedding
        assert answer.image_info == alone[answer.sequence].image_info


async def test_a_stream_takes_together_more_than_it_has_in_flight(stub: EmbedderServiceStub) -> None:
    call = stub.EmbedStream(iter([together(*[b""] * 64)] * 4))
    assert dict(await call.initial_metadata())["lookalike-entries"] == "64"
    assert sum([len(message.entries) async for message in call]) == 4 * 64


async def test_too_many_images_in_one_message_end_the_stream_after_the_answers_to_those_before(
    stub: EmbedderServiceStub,
) -> None:
    messages = [together(b"", b""), together(*[b""] * 65)]
    answers, refusal = await refused_stream(lambda: stub.EmbedStream(iter(messages)))
    assert sum(len(message.entries) for message in answers) == 2
    error = errors.from_rpc(refusal, "embedder")
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TOO_MANY_ENTRIES")
    assert "at most 64" in str(error)
    assert "entries" in error.violations


async def test_a_message_full_of_empty_entries_is_refused_before_it_is_parsed(
    stub: EmbedderServiceStub, embedder_channel: grpc.aio.Channel
) -> None:
    raw: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = embedder_channel.stream_stream(
        "/lookalike.v1.EmbedderService/EmbedStream"
    )
    _, refusal = await refused_stream(lambda: raw(iter([b"\x1a\x00" * 8_000_000])))
    assert errors.from_rpc(refusal, "embedder").reason == "TOO_MANY_ENTRIES"
    assert (await stub.Embed(wire.EmbedRequest(image=jpeg()))).embedding.values


async def test_a_message_over_the_limit_is_refused_and_the_server_goes_on(stub: EmbedderServiceStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Embed(wire.EmbedRequest(image=bytes(17 * 1024 * 1024)))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await stub.Embed(wire.EmbedRequest(image=jpeg()))).embedding.values


async def test_health_is_told_per_service_and_for_the_whole(embedder_channel: grpc.aio.Channel) -> None:
    health = health_pb2_grpc.HealthStub(embedder_channel)
    for service in ("", "lookalike.v1.EmbedderService"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_lists_the_services(embedder_channel: grpc.aio.Channel) -> None:
    reflection = reflection_pb2_grpc.ServerReflectionStub(embedder_channel)

    async def ask() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    names = [
        service.name
        async for answer in reflection.ServerReflectionInfo(ask())
        for service in answer.list_services_response.service
    ]
    assert "lookalike.v1.EmbedderService" in names


class HeldModel:
    """A null model that can be held, or broken, or answer what is no number."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.broken = False
        self.lost = False
        self.value = 512**-0.5

    def __call__(self, pixels: Sequence[Pixels], lane: Lane, pause: Callable[[], None]) -> np.ndarray:
        self.go_on.wait(30)
        if self.lost:
            raise DeviceLost
        if self.broken:
            raise RuntimeError("the device is gone")
        return np.full((len(pixels), 512), self.value, np.float32)


@asynccontextmanager
async def serving(
    model: HeldModel, config: Config, metrics: Metrics | None = None, lost: asyncio.Event | None = None
) -> AsyncIterator[tuple[Server, EmbedderServiceStub]]:
    """A server of its own over a null model."""
    loaded = loading.Loaded(model, loading.describe(config, space.vgg16("0" * 64), "cpu", "fp32", 1))
    with ThreadPoolExecutor(1) as worker:
        async with (
            embedder_server.serving(config, loaded, worker, metrics=metrics or Metrics(), lost=lost) as server,
            grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            yield server, EmbedderServiceStub(channel)


async def test_who_is_not_let_in_is_counted_by_reason(tmp_path: Path) -> None:
    keys, metrics = tmp_path / "jwks.json", Metrics()
    keys.write_text(jwks(Signer()))
    config = Config(cache_dir=tmp_path, port=0, workers=1, security=Security(jwks=keys))
    async with serving(HeldModel(), config, metrics) as (_, stub):
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Embed(wire.EmbedRequest(image=jpeg()))
    assert metrics.registry.get_sample_value("lookalike_embedder_refused_total", {"reason": "TOKEN_MISSING"}) == 1


async def test_a_full_server_refuses_at_once_and_says_when_to_come_back(tmp_path: Path) -> None:
    """It stays SERVING, and measures its event loop."""
    model, metrics = HeldModel(), Metrics()
    config = Config(cache_dir=tmp_path, port=0, max_waiting=2, workers=1)
    async with serving(model, config, metrics) as (server, stub):
        model.go_on.clear()
        calls = [asyncio.ensure_future(stub.Embed(wire.EmbedRequest(image=jpeg()))) for _ in range(5)]
        waiting = set(calls)
        while len(waiting) > 2:  # three of the five do not fit in
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for call in done:
                refused = errors.from_rpc(call.exception(), "embedder")
                assert isinstance(refused, OverloadedError)
                assert refused.reason == "OVERLOADED"
                assert refused.retry_after is not None
                assert refused.retry_after > 0
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=""))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        lags = "lookalike_embedder_loop_lag_seconds_count"
        await until(lambda: asyncio.sleep(0, metrics.registry.get_sample_value(lags)))
        model.go_on.set()
        await asyncio.gather(*waiting)


async def test_calls_of_one_connection_beyond_what_it_may_have_wait_in_the_client_and_are_not_refused(
    tmp_path: Path,
) -> None:
    """Their photos are not even sent. A connection may have as many calls as may wait, and as many streams."""
    model, metrics = HeldModel(), Metrics()
    config = Config(cache_dir=tmp_path, port=0, max_waiting=1, max_streams=1, workers=1)
    in_flight = ("lookalike_embedder_in_flight_bytes", {"lane": "interactive"})
    async with serving(model, config, metrics) as (server, stub):
        model.go_on.clear()
        stream = stub.EmbedStream()
        await stream.write(wire.EmbedStreamRequest(image=jpeg()))
        calls = [asyncio.ensure_future(stub.Embed(wire.EmbedRequest(image=jpeg()))) for _ in range(3)]
        await until(lambda: asyncio.sleep(0, metrics.registry.get_sample_value(*in_flight)))
        local = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", local) as another:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await EmbedderServiceStub(another).Embed(wire.EmbedRequest(image=jpeg()))
        assert errors.from_rpc(caught.value, "embedder").reason == "OVERLOADED"
        model.go_on.set()
        assert all([(await call).embedding.values for call in calls])
        await stream.done_writing()
        assert (await stream.read()).embedding.values


async def test_a_draining_server_answers_what_it_read_and_ends_the_stream(tmp_path: Path) -> None:
    model = HeldModel()
    answered = 0
    async with serving(model, Config(cache_dir=tmp_path, port=0)) as (server, stub):
        model.go_on.clear()
        call = stub.EmbedStream()
        for sequence in range(5):
            await call.write(wire.EmbedStreamRequest(sequence=sequence, image=jpeg()))
        model.go_on.set()
        await call.read()  # by now the server has read the others too, or will not have
        drain = asyncio.create_task(server.__aexit__(None, None, None))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            while await call.read() is not grpc.aio.EOF:
                answered += 1
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert errors.from_rpc(caught.value, "embedder").reason == "SHUTTING_DOWN"
        await drain


async def test_health_follows_real_work(tmp_path: Path) -> None:
    """A model that fails turns the health to NOT_SERVING, and back when it works again."""
    model, metrics = HeldModel(), Metrics()
    async with (
        serving(model, Config(cache_dir=tmp_path, port=0, probe_interval=0.1), metrics) as (server, _),
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=""))
        statuses = [(await watch.read()).status]
        assert metrics.registry.get_sample_value("lookalike_embedder_serving") == 1
        model.broken = True
        statuses.append((await watch.read()).status)
        model.broken = False
        statuses.append((await watch.read()).status)
        watch.cancel()
    status = health_pb2.HealthCheckResponse
    assert statuses == [status.SERVING, status.NOT_SERVING, status.SERVING]


async def test_a_model_failure_is_the_images_own(tmp_path: Path) -> None:
    model = HeldModel()
    async with serving(model, Config(cache_dir=tmp_path, port=0)) as (_, stub):
        model.broken = True
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Embed(wire.EmbedRequest(image=jpeg()))
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert errors.from_rpc(caught.value, "embedder").reason == "MODEL_FAILURE"
        model.broken = False
        assert (await stub.Embed(wire.EmbedRequest(image=jpeg()))).embedding.values


async def test_a_lost_device_ends_streams_refuses_calls_and_is_not_healthy(tmp_path: Path) -> None:
    """With a status that sends the client to another embedder; a process that restarts it reads the health."""
    model, lost = HeldModel(), asyncio.Event()
    async with (
        serving(model, Config(cache_dir=tmp_path, port=0, probe_interval=0.1), lost=lost) as (server, stub),
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=""))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        model.lost = True
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Embed(wire.EmbedRequest(image=jpeg()))
        _, of_a_stream = await refused_stream(lambda: stub.EmbedStream(requests(jpeg(), jpeg())))
        for error in (caught.value, of_a_stream):
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert errors.from_rpc(error, "embedder").reason == "DEVICE_LOST"
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert lost.is_set(), "the program does not end"
        watch.cancel()


async def test_a_stream_ends_by_itself_and_answers_all_that_it_read(tmp_path: Path) -> None:
    """So that its client looks for other embedders before the connection is closed over it."""
    config = Config(cache_dir=tmp_path, port=0, max_connection_age=1)
    async with serving(HeldModel(), config) as (_, stub):
        call = stub.EmbedStream()
        answers = 0
        for sequence in range(5):
            await call.write(wire.EmbedStreamRequest(sequence=sequence, image=jpeg()))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            while await call.read() is not grpc.aio.EOF:
                answers += 1
        assert answers == 5
        assert errors.from_rpc(caught.value, "embedder").reason == "STREAM_AGED"


async def test_more_streams_than_told_are_refused(tmp_path: Path) -> None:
    async with serving(HeldModel(), Config(cache_dir=tmp_path, port=0, max_streams=1)) as (_, stub):
        first = stub.EmbedStream()
        await first.write(wire.EmbedStreamRequest(sequence=1, image=jpeg()))
        await first.read()
        _, refusal = await refused_stream(lambda: stub.EmbedStream(requests(jpeg())))
        refused = errors.from_rpc(refusal, "embedder")
        assert isinstance(refused, OverloadedError)
        assert refused.retry_after == 1
        await first.done_writing()
        assert await first.read() is grpc.aio.EOF
        assert [answer async for answer in stub.EmbedStream(requests(jpeg()))]


async def test_a_deadline_that_cannot_be_kept_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    model = HeldModel()
    async with serving(model, Config(cache_dir=tmp_path, port=0)) as (_, stub):
        model.go_on.clear()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Embed(wire.EmbedRequest(image=jpeg()), timeout=0.2)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        model.go_on.set()


async def test_metrics_are_served_on_their_own_port(tmp_path: Path) -> None:
    config = Config(cache_dir=tmp_path, metrics_port=0)
    metrics = Metrics()
    with metrics_served(config.metrics_address, metrics.registry) as port:
        text = await asyncio.to_thread(lambda: urlopen(f"http://127.0.0.1:{port}/metrics").read().decode())
        assert "lookalike_embedder_queue_wait_seconds_bucket" in text
        with (
            pytest.raises(OSError, match=f":{port}: .*--metrics-port"),
            metrics_served(replace(config, metrics_port=port).metrics_address, metrics.registry),
        ):
            pass


async def test_a_model_that_answers_no_numbers_is_not_healthy(tmp_path: Path) -> None:
    """Though it never fails: traffic alone, all of it refused, does not make a server healthy."""
    model = HeldModel()
    async with (
        serving(model, Config(cache_dir=tmp_path, port=0, probe_interval=0.1)) as (server, stub),
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=""))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        model.value = float("nan")
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Embed(wire.EmbedRequest(image=jpeg()))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()


async def test_every_watch_is_told_and_ends_with_the_server(tmp_path: Path) -> None:
    """A drain does not wait for those who watch the health, and one who leaves takes no other along."""
    async with (
        serving(HeldModel(), Config(cache_dir=tmp_path, port=0, grace=3600)) as (server, _),
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest(service="")) for _ in range(3)]
        assert {(await watch.read()).status for watch in watches} == {health_pb2.HealthCheckResponse.SERVING}
        watches[0].cancel()
        async with asyncio.timeout(120):
            await server.__aexit__(None, None, None)
            for watch in watches[1:]:
                assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
                assert await watch.read() is grpc.aio.EOF


async def test_an_embedder_with_a_lower_limit_refuses_each_large_image_alone(tmp_path: Path) -> None:
    config = Config(cache_dir=tmp_path, port=0, max_image_bytes=1000)
    async with serving(HeldModel(), config) as (_, stub):
        large = encoded(Image.effect_noise((500, 500), 50), "PNG")
        answers = {answer.sequence: answer async for answer in stub.EmbedStream(requests(jpeg(), large, jpeg()))}
    assert answers[2].error.reason == "IMAGE_TOO_LARGE"
    assert answers[1].embedding.values
    assert answers[3].embedding.values


async def test_indexing_survives_an_embedder_that_drains_while_it_is_written_to(
    tmp_path: Path, searcher: Server
) -> None:
    """Large images fill the send window, so that a write is under way when the stream ends."""
    photo = encoded(Image.effect_noise((900, 900), 80), "PNG")
    name = f"drained-{tmp_path.name}".lower()[:60]
    config = Config(cache_dir=tmp_path, port=0, grace=30)
    items = [Item(image=photo + bytes([number]), uri=f"https://shop/{number}") for number in range(60)]
    async with serving(HeldModel(), config) as (first, _):
        address = f"127.0.0.1:{first.port}"
        async with Client(address, f"127.0.0.1:{searcher.port}") as client:
            await client.create_project(name)
            outcomes = client.index(name, items)
            seen = [await anext(outcomes)]
            await first.__aexit__(None, None, None)
            async with serving(HeldModel(), replace(config, port=first.port)):
                seen += [outcome async for outcome in outcomes]
            await client.delete_project(name)
    assert {outcome.status for outcome in seen} == {Status.INDEXED}
    assert len(seen) == len(items)
