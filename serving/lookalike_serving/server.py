"""The life of a server, the same for both: listen, say truthfully how it is, drain, end. Needs `grpcio-reflection`."""

import asyncio
import gc
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from lookalike.constants import SERVER_KEEPALIVE, ChannelOptions
from lookalike_serving.errors import DomainError, ShuttingDown, StatusTable, StreamAged
from lookalike_serving.health import Health
from lookalike_serving.health_probe import HealthProbe
from lookalike_serving.interceptor import Observe, RequestInterceptor, unobserved
from lookalike_serving.parsing import Limits
from lookalike_serving.security.authentication import Guard
from lookalike_serving.security.tls import Certificate

T = TypeVar("T")


def calm_collector() -> None:
    """Let Python's garbage collector look less often, and never again at what is loaded by now.

    Requests leave hardly a cycle behind; to look for some after every 700 objects cost an eighth of the pace.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@dataclass(eq=False)
class _Reading:
    """A stream that is being read: by which task while it waits for the next request, and why it must stop."""

    task: "asyncio.Task[Any] | None" = None
    stopped: DomainError | None = None

    def stop(self, why: DomainError) -> None:
        """Interrupt the wait, if there is one; no request is read any more."""
        self.stopped = self.stopped or why
        if self.task:
            self.task.cancel()
            self.task = None


class Draining:
    """Begins once, when the server must end: streams stop reading, answer what they read, and end themselves."""

    def __init__(self) -> None:
        self._begun = False
        self._readings: set[_Reading] = set()

    def has_begun(self) -> bool:
        """Whether it is time to end."""
        return self._begun

    def begin(self) -> None:
        """Stop reading, everywhere."""
        self._begun = True
        for reading in self._readings:
            reading.stop(ShuttingDown())

    async def until(self, requests: AsyncIterator[T], *, max_age: float = math.inf) -> AsyncGenerator[T, None]:
        """The requests of a stream, up to its end.

        Args:
            requests: what the client sends.
            max_age: seconds after which the stream is to end by itself.

        Raises:
            ShuttingDown: the drain began before the end. What was yielded is still to be answered.
            StreamAged: the stream became too old; likewise.
        """
        reading = _Reading(stopped=ShuttingDown() if self._begun else None)
        self._readings.add(reading)
        loop = asyncio.get_running_loop()
        timer = None if max_age == math.inf else loop.call_later(max_age, lambda: reading.stop(StreamAged()))
        task = asyncio.current_task()  # the one that iterates
        try:
            while not reading.stopped:
                reading.task = task
                try:
                    request = await anext(requests, None)
                except asyncio.CancelledError:
                    if reading.stopped and task and not task.uncancel():
                        break  # it was we who interrupted, nobody else
                    raise
                finally:
                    reading.task = None
                if request is None:
                    return
                yield request
        finally:
            self._readings.discard(reading)
            if timer:
                timer.cancel()
        raise reading.stopped


class Server:
    """A gRPC server with health, reflection and errors, as an async context manager. Leaving it drains it.

    Args:
        service: the service's full name, for health and reflection.
        register: adds the servicer to the server.
        address: where to listen, `host:port`; port 0 picks a free one, see `port`.
        table: the status codes of the service's errors.
        probe: does a small piece of real work and raises if that fails; see `HealthProbe`.
        draining: is told when the drain begins.
        options: server options, for example message limits.
        probe_interval: seconds between two probes; a probe may take as long before it counts as slow.
        grace: seconds that calls in flight have to end once the drain has begun.
        tell: is told whether the server is healthy, whenever that is known.
        observe: is told of the end of each of the service's RPCs.
        guard: lets callers in; left out, everybody.
        certificate: what it shows; None: connections are not encrypted.
        limits: what requests may hold; left out, little.
    """

    def __init__(
        self,
        service: str,
        register: Callable[[grpc.aio.Server], None],
        *,
        address: str,
        table: StatusTable,
        probe: Callable[[], Awaitable[None]],
        draining: Draining,
        options: ChannelOptions,
        probe_interval: float,
        grace: float,
        tell: Callable[[bool], None] = lambda _: None,
        observe: Observe = unobserved,
        guard: Guard | None = None,
        limits: Limits | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self.port = 0
        self._address, self._certificate = address, certificate
        self._probe = probe
        self._health_probe = HealthProbe(probe, table, probe_interval, self._note_health)
        self._draining, self._grace = draining, grace
        self._tell = tell
        self._server = grpc.aio.server(
            interceptors=[RequestInterceptor(service, table, observe, guard or Guard(), limits or Limits())],
            options=[*options, *SERVER_KEEPALIVE, ("grpc.so_reuseport", 0)],  # a taken port is an error, not a lottery
        )
        self._health = Health(service)
        register(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (service, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

    async def __aenter__(self) -> Self:
        """Probe once, then listen."""
        await self._probe()
        self.port = self._listen()
        await self._server.start()
        self._note_health(True)
        self._watch = asyncio.create_task(self._health_probe.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say NOT_SERVING, take no new work, let what is in flight end."""
        self._watch.cancel()
        self._note_health(False)
        self._health.end()
        self._draining.begin()
        await self._server.stop(self._grace)

    def _listen(self) -> int:
        if self._certificate is None:
            return self._server.add_insecure_port(self._address)
        return self._server.add_secure_port(self._address, self._certificate.for_grpc())

    def _note_health(self, serving: bool, /) -> None:
        self._health.tell(serving=serving)
        self._tell(serving)
