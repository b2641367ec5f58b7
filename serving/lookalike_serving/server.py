"""Run a gRPC server: listen, report health truthfully, drain, end. This needs `grpcio-reflection`."""

import asyncio
import gc
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from lookalike.constants import SERVER_KEEPALIVE, ChannelOptions
from lookalike_serving.arrivals import Arrivals
from lookalike_serving.errors import DomainError, ShuttingDown, StatusTable, StreamAged
from lookalike_serving.health import Health
from lookalike_serving.health_probe import HealthProbe
from lookalike_serving.interceptor import RequestInterceptor
from lookalike_serving.parsing import Limits
from lookalike_serving.pending import APART, OPTIONS, Pending
from lookalike_serving.rpc import Observe, unobserved
from lookalike_serving.security.authentication import Guard
from lookalike_serving.security.tls import Certificate

T = TypeVar("T")

READ_AHEAD: Final[ChannelOptions] = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024 * 1024)]
"""gRPC receives so many bytes of a stream that nobody has asked for yet. By itself it lets them grow with the bandwidth
that it measures: four streams of photos held 200 MB, outside of all bounds on what is in flight. A message that is
asked for is received at full speed, whatever its size."""


def calm_collector() -> None:
    """Run Python's garbage collector less often, and never on objects that exist by now.

    Requests create hardly any cycles. To look for cycles after every 700 objects cost an eighth of the throughput.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@dataclass(eq=False)
class _Reading:
    """A stream that is being read.

    `task` is the one that waits for the next request, `stopped` why reading must stop.
    """

    task: "asyncio.Task[Any] | None" = None
    stopped: DomainError | None = None

    def stop(self, why: DomainError) -> None:
        """Interrupt the wait, if there is one. No request is read any more."""
        self.stopped = self.stopped or why
        if self.task:
            self.task.cancel()
            self.task = None


class Draining:
    """The drain begins once, when the server must end: streams stop reading, answer what they have read, and end."""

    def __init__(self) -> None:
        self._begun = False
        self._readings: set[_Reading] = set()

    def has_begun(self) -> bool:
        """Return whether the drain has begun."""
        return self._begun

    def begin(self) -> None:
        """Begin the drain: all streams stop reading."""
        self._begun = True
        for reading in self._readings:
            reading.stop(ShuttingDown())

    async def until(self, requests: AsyncIterator[T], *, max_age: float = math.inf) -> AsyncGenerator[T, None]:
        """Yield the requests of a stream, until it ends or has to stop.

        Args:
            requests: the requests that the client sends.
            max_age: seconds after which the stream is to stop reading.

        Raises:
            ShuttingDown: the drain has begun. Requests that were yielded must still be answered.
            StreamAged: the stream is too old. Requests that were yielded must still be answered.
        """
        reading = _Reading(stopped=ShuttingDown() if self._begun else None)
        self._readings.add(reading)
        loop = asyncio.get_running_loop()
        timer = None if max_age == math.inf else loop.call_later(max_age, lambda: reading.stop(StreamAged()))
        task = asyncio.current_task()  # the task that iterates
        try:
            while not reading.stopped:
                reading.task = task
                try:
                    request = await anext(requests, None)
                except asyncio.CancelledError:
                    if reading.stopped and task and not task.uncancel():
                        break  # `stop` cancelled the task, nobody else did
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


class _Methods:
    """A server to which services add their methods: they are wrapped, and all together but for those of APART.

    Generated code adds each by itself too. gRPC then waits for the next call of each method, and looks at all these
    waits for every call: with 30 methods, that took a tenth of the processor time of a search.
    """

    def __init__(self, server: grpc.aio.Server, interceptor: RequestInterceptor) -> None:
        self._server, self._interceptor = server, interceptor

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Add nothing: the same methods come once more, by their names."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Add the methods of a service."""
        wrapped = {name: self._interceptor.wrap(f"{service}/{name}", handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, wrapped),))
        apart = {name: handler for name, handler in wrapped.items() if f"{service}/{name}" in APART}
        self._server.add_registered_method_handlers(service, apart)


class Server:
    """The server adds health, reflection and errors to a gRPC server. Leaving its context drains it.

    Args:
        service: the full name of the service, for health and reflection.
        register: adds the servicer to the server.
        address: where to listen, `host:port`; port 0 picks a free one, see `port`.
        table: the status codes of the service's errors.
        probe: does a small piece of real work and raises if that fails; see `HealthProbe`.
        draining: begins when the server must end.
        options: server options, for example message limits.
        probe_interval: seconds between two probes, and seconds after which a probe is slow.
        grace: seconds that calls in flight have to end once the drain has begun.
        tell: is told whether the server is healthy, whenever that is known.
        observe: is told of the end of each of the service's RPCs.
        arrivals: counts the calls that arrive; None: nothing counts them.
        guard: identifies and admits callers; the default admits everybody.
        certificate: the server's certificate; None: connections are not encrypted.
        limits: the limits of requests; the default is low.
        shares_port: whether other processes of ours listen on the port too.
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
        arrivals: Arrivals | None = None,
        guard: Guard | None = None,
        limits: Limits | None = None,
        certificate: Certificate | None = None,
        shares_port: bool = False,
    ) -> None:
        self.port = 0
        self._address, self._certificate = address, certificate
        self._probe = probe
        self._health_probe = HealthProbe(probe, table, probe_interval, self._note_health)
        self._draining, self._grace = draining, grace
        self._tell = tell
        arrivals = arrivals or Arrivals()
        self._pending = Pending(arrivals)
        limits, guard = limits or Limits(), guard or Guard()
        self._server = grpc.aio.server(
            # Unless that is wanted, listening on a port in use must fail.
            options=[*options, *SERVER_KEEPALIVE, *READ_AHEAD, *OPTIONS, ("grpc.so_reuseport", int(shares_port))],
        )
        arrivals.watch_newest()
        self._server.add_generic_rpc_handlers((self._pending,))  # the first to be asked
        interceptor = RequestInterceptor(service, table, observe, guard, limits, self._pending)
        methods: Any = _Methods(self._server, interceptor)  # it has what services need of a server
        self._health = Health(service)
        register(methods)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, methods)
        names = (service, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
        reflecting = reflection.aio.ReflectionServicer(names)  # `enable_server_reflection` wants gRPC's own server
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflecting, methods)  # type: ignore[no-untyped-call]

    async def __aenter__(self) -> Self:
        """Probe once, then listen and serve."""
        await self._probe()
        self.port = self._listen()
        self._pending.listen(self._server)
        await self._server.start()
        await self._pending.__aenter__()
        self._note_health(True)
        self._watch = asyncio.create_task(self._health_probe.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Report NOT_SERVING, accept no new work, and let calls in flight end within the grace period."""
        self._watch.cancel()
        self._note_health(False)
        self._health.end()
        self._draining.begin()
        await self._pending.__aexit__(kind, error, trace)
        await self._server.stop(self._grace)

    def _listen(self) -> int:
        if self._certificate is None:
            return self._server.add_insecure_port(self._address)
        return self._server.add_secure_port(self._address, self._certificate.for_grpc())

    def _note_health(self, serving: bool, /) -> None:
        self._health.tell(serving=serving)
        self._tell(serving)
