"""What becomes of calls that arrive while a server's event loop is late."""

import asyncio
import os
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from prometheus_client import CollectorRegistry

from lookalike.v1 import embedder_pb2 as wire
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceServicer, EmbedderServiceStub
from lookalike_serving import pending
from lookalike_serving.arrivals import Arrivals
from lookalike_serving.errors import Context, LateTaken
from lookalike_serving.pending import MAX_PENDING
from lookalike_serving.rpc import time_waited
from lookalike_serving.security.authentication import Guard
from lookalike_serving.security.caller import ANYBODY, Caller
from lookalike_serving.server import Server
from tests.clock import Clock
from tests.small_server import small_server

SERVICE = wire.DESCRIPTOR.services_by_name["EmbedderService"].full_name
FLOOD = 3 * MAX_PENDING
RESETS = FLOOD - MAX_PENDING - 2  # gRPC lets one more in, and one has been handed to the event loop


@dataclass
class ServersClock(Clock):
    """What time it is for those who measure; each GetModel takes `late` seconds of the event loop.

    The last one had `waited` before.
    """

    late: float = 0.0
    waited: float = 0.0


CLOCK = ServersClock()


class Servicer(EmbedderServiceServicer):
    async def GetModel(self, request: wire.GetModelRequest, context: Context) -> wire.GetModelResponse:  # noqa: N802
        CLOCK.now += CLOCK.late
        CLOCK.waited = time_waited()
        return wire.GetModelResponse()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def server(registry: CollectorRegistry) -> AsyncIterator[Server]:
    servicer = Servicer()  # type: ignore[abstract] # one method is called
    async with small_server(servicer, arrivals=Arrivals("small", registry)) as server:
        yield server


async def test_more_calls_of_a_service_than_may_wait_for_the_event_loop_are_reset_and_others_are_not(
    server: Server, registry: CollectorRegistry
) -> None:
    """All have arrived, says gRPC, those that no handler was told of, too; health's and unknown methods' are taken."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        await asyncio.to_thread(grpc.channel_ready_future(channel).result)
        resets: list[Any] = []
        enough = threading.Event()

        def note(call: Any) -> None:  # noqa: ANN401 - gRPC's own type
            if call.code() is grpc.StatusCode.CANCELLED:
                resets.append(call)
            if len(resets) == RESETS:
                enough.set()

        stub: Any = EmbedderServiceStub(channel)
        calls = [stub.GetModel.future(wire.GetModelRequest()) for _ in range(FLOOD)]
        for call in calls:
            call.add_done_callback(note)
        health = health_pb2_grpc.HealthStub(channel)
        check = health.Check.future(health_pb2.HealthCheckRequest())
        watch = health.Watch(health_pb2.HealthCheckRequest())
        assert enough.wait(60)  # the event loop stands still
        assert (await asyncio.to_thread(check.result)).status == health_pb2.HealthCheckResponse.SERVING
        assert (await asyncio.to_thread(next, watch)).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
        codes = [await asyncio.to_thread(call.code) for call in calls]
        assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.CANCELLED}
        unknown: Any = channel.unary_unary("/unknown/Method").future(b"")
        assert await asyncio.to_thread(unknown.code) is grpc.StatusCode.UNIMPLEMENTED
        arrived, taken = (registry.get_sample_value(f"small_calls_{what}_total") for what in ("arrived", "taken"))
        assert arrived - taken == codes.count(grpc.StatusCode.CANCELLED)


async def test_a_call_that_has_waited_for_too_long_before_it_was_taken_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured by what a call of the server's own waits; a call with a later deadline is served."""
    monkeypatch.setattr(pending, "time", CLOCK)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = EmbedderServiceStub(channel)
        refused = None
        async with asyncio.timeout(60):
            while refused is None:
                CLOCK.late = 5.0
                await stub.GetModel(wire.GetModelRequest(), timeout=60)  # most often, the server's own call comes after
                CLOCK.late = 0.0
                try:
                    await stub.GetModel(wire.GetModelRequest(), timeout=5)
                except grpc.aio.AioRpcError as error:
                    refused = error
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        status = rpc_status.from_call(refused)
        assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert all(status.details[number].Unpack(detail) for number, detail in enumerate((info, retry)))
        assert (info.reason, info.metadata["waited_seconds"]) == ("OVERLOADED", "5.000")
        assert 5 <= retry.retry_delay.ToSeconds() <= 10
        await stub.GetModel(wire.GetModelRequest(), timeout=60)
        assert CLOCK.waited == 5  # so that those who let it wait further know
        CLOCK.now += 20
        await stub.GetModel(wire.GetModelRequest(), timeout=5)  # that was long ago


class _Taking(grpc.GenericRpcHandler):
    """Calls wait for some seconds; once the queue is full, none gets in."""

    def __init__(self, wait_seconds: float) -> None:
        self.registry = CollectorRegistry()
        self.measured, self.wait_seconds = pending.Pending(Arrivals("own", self.registry)), wait_seconds
        self.taken, self.is_full = 0, False

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:  # noqa: ANN401
        if self.is_full:
            return None
        self.taken += 1
        CLOCK.now += self.wait_seconds
        return self.measured.service(handler_call_details)


@asynccontextmanager
async def taking(wait_seconds: float) -> AsyncIterator[_Taking]:
    """A server of its own that measures how long its calls wait."""
    taking, server = _Taking(wait_seconds), grpc.aio.server()
    server.add_generic_rpc_handlers((taking,))
    taking.measured.listen(server)
    await server.start()
    async with taking.measured:
        yield taking
    await server.stop(None)


async def measure(measured: pending.Pending) -> None:
    """A call was taken; wait until what it has made the server ask itself is answered."""
    measured.check("/any/Method", 60)
    own = [task for task in asyncio.all_tasks() if "Pending._measure" in repr(task.get_coro())]
    await asyncio.gather(*own)


async def test_while_the_queue_is_full_it_takes_as_long_as_was_measured_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "time", CLOCK)
    async with taking(5) as server:
        await measure(server.measured)
        CLOCK.now += 1
        server.is_full = True
        await measure(server.measured)
        CLOCK.now += 4.5
        with pytest.raises(LateTaken):
            server.measured.check("/any/Method", 5)
        told = [server.registry.get_sample_value(f"own_pending_wait_seconds_{what}") for what in ("sum", "count")]
        assert told == [5, 1]


@pytest.mark.parametrize(("wait_seconds", "asked"), [(0.0, 4), (0.02, 7)])
async def test_where_calls_are_taken_at_once_a_server_asks_itself_less_often(
    wait_seconds: float, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a second in which there is a call each 1/16 s."""
    monkeypatch.setattr(pending, "time", CLOCK)
    async with taking(wait_seconds) as server:
        began = CLOCK.now
        while CLOCK.now < began + 1:
            await measure(server.measured)
            CLOCK.now += 1 / 16
        assert server.taken == asked


async def test_the_threads_of_a_server_interrupt_nobody_while_calls_wait_for_long_or_the_queue_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Measured by what a call of the server's own waits: five seconds, nothing, until the queue is full, nothing."""
    monkeypatch.setattr(pending, "time", CLOCK)
    found = [_policies()]
    async with taking(5) as server:
        for server.wait_seconds, server.is_full in ((5.0, False), (0.0, False), (0.0, True), (0.0, False)):
            CLOCK.now += 1
            await measure(server.measured)
            found.append(_policies())
    assert found == [{os.SCHED_OTHER}, {os.SCHED_BATCH}, {os.SCHED_OTHER}, {os.SCHED_BATCH}, {os.SCHED_OTHER}]


async def test_the_threads_have_the_usual_policy_again_when_the_server_has_stopped() -> None:
    measured, server = pending.Pending(Arrivals()), grpc.aio.server()
    measured.listen(server)
    await server.start()
    async with measured:
        await measure(measured)  # there is no such method: as if the queue were full
        assert _policies() == {os.SCHED_BATCH}
    await server.stop(None)
    assert _policies() == {os.SCHED_OTHER}


def _policies() -> set[int]:
    """Of Python's threads that live, one of which is gRPC's; its others come and go."""
    alive = set(map(int, os.listdir("/proc/self/task")))
    return {os.sched_getscheduler(one.native_id) for one in threading.enumerate() if one.native_id in alive}


async def test_nobody_else_reaches_the_socket_of_the_servers_own_calls_and_it_goes_with_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # a socket's path may have 107 characters
        monkeypatch.setattr(tempfile, "tempdir", short)
        measured, server = pending.Pending(Arrivals()), grpc.aio.server()
        measured.listen(server)
        await server.start()
        async with measured:
            [folder] = glob(f"{short}/*")
            assert os.stat(folder).st_mode & 0o077 == 0
            assert os.listdir(folder) == ["own"]
        await server.stop(None)
        assert not glob(f"{short}/*")


@pytest.mark.parametrize("name", ["a" * 120, "missing"])
async def test_a_server_starts_where_there_can_be_no_socket_and_says_that_the_wait_is_not_measured(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if name != "missing":
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))
    measured, server = pending.Pending(Arrivals()), grpc.aio.server()
    measured.listen(server)
    await server.start()
    async with measured:
        measured.check("/any/Method", 0.001)
    await server.stop(None)
    [told] = [record.getMessage() for record in caplog.records if "is not measured" in record.message]
    assert str(tmp_path / name) in told
    assert not glob(f"{tmp_path / name}/*")


async def test_what_a_call_has_waited_counts_as_a_part_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "time", CLOCK)
    async with taking(5) as server:
        await measure(server.measured)
        assert server.measured.check("/any/Method", 14) == 5  # less than 0.3 of 19
        with pytest.raises(LateTaken):
            server.measured.check("/any/Method", 11)


async def test_a_server_has_one_call_of_its_own_under_way_at_most_and_again_soon_where_the_queue_was_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As long as none has told how long the queue takes; a call that found it full has not waited."""
    monkeypatch.setattr(pending, "time", CLOCK)
    async with taking(0) as server:
        server.is_full = True
        await measure(server.measured)
        server.is_full = False
        CLOCK.now += 0.025
        assert server.measured.check("/any/Method", 5) == 0
        await measure(server.measured)
        assert server.taken == 1


async def test_nobody_else_can_pass_for_a_call_of_the_servers_own(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CLOCK, "late", 1.0)
    began = CLOCK.now
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        guess = grpc.aio.Metadata(("x-lookalike-pending", "guess"))
        await EmbedderServiceStub(channel).GetModel(wire.GetModelRequest(), metadata=guess)
    assert CLOCK.now == began + 1  # it was served as any other


class Verifier:
    """Knows who has a token."""

    async def verify(self, token: str) -> Caller:
        return ANYBODY


async def test_a_late_server_refuses_before_it_looks_who_calls_and_tells_its_health_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pending, "time", CLOCK)
    unknown = grpc.StatusCode.UNAUTHENTICATED
    async with (
        small_server(Servicer(), guard=Guard(Verifier())) as server,  # type: ignore[abstract] # one is called
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stub, code = EmbedderServiceStub(channel), unknown
        async with asyncio.timeout(60):
            while code is unknown:
                CLOCK.late = 5.0
                await stub.GetModel(wire.GetModelRequest(), metadata=[("authorization", "Bearer known")], timeout=60)
                CLOCK.late = 0.0
                code = await stub.GetModel(wire.GetModelRequest(), timeout=5).code()
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        check = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert (await check).status == health_pb2.HealthCheckResponse.SERVING
