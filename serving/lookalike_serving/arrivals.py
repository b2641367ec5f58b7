"""Measure what becomes of calls before a server's event loop takes them: they wait, or gRPC resets them.

This needs `grpcio-channelz`, through which gRPC tells how many calls have arrived, and `prometheus-client`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from grpc_channelz.v1 import channelz_pb2
from grpc_channelz.v1.channelz import ChannelzServicer
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


class Arrivals(Collector):
    """The arrivals at one server are counted, also those that gRPC resets: it tells nobody of these.

    What has arrived and was not taken waits, which at most `lookalike_serving.pending.MAX_PENDING` do, or was reset.

    Args:
        prefix: what the metrics' names begin with.
        registry: where they are registered; None: nowhere.
        buckets: those of `wait_seconds`, in seconds.

    Attributes:
        taken: how many calls the event loop has taken.
        wait_seconds: how long the server's own calls wait in gRPC.
    """

    def __init__(
        self,
        prefix: str = "lookalike",
        registry: CollectorRegistry | None = None,
        buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS,
    ) -> None:
        self.taken = 0
        self.wait_seconds = Histogram(
            f"{prefix}_pending_wait_seconds",
            "Waiting in gRPC, by calls of its own.",
            registry=registry,
            buckets=buckets,
        )
        self._prefix = prefix
        self._server_id, self._arrived = 0, 0
        if registry:
            registry.register(self)

    def watch_newest(self) -> None:
        """Count the calls that arrive at the server that was made last in this process."""
        self._server_id = _servers(0)[-1].ref.server_id

    def describe(self) -> Iterator[CounterMetricFamily]:
        """Yield what `collect` does, for the registry to know the names."""
        return self.collect()

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield both counters; what arrived at a server that is gone stays."""
        servers = _servers(self._server_id) if self._server_id else []
        self._arrived = next(
            (one.data.calls_started for one in servers if one.ref.server_id == self._server_id), self._arrived
        )
        for name, text, value in (
            ("arrived", "Calls that arrived in gRPC.", self._arrived),
            ("taken", "Calls that the event loop took.", self.taken),
        ):
            yield CounterMetricFamily(f"{self._prefix}_calls_{name}", text, value=value)


def _servers(first_id: int) -> Any:  # noqa: ANN401 - of protobuf
    """Return this process's servers in the order in which they were made, from that id on."""
    request = channelz_pb2.GetServersRequest(start_server_id=first_id)
    return ChannelzServicer.GetServers(request, None).server  # type: ignore[arg-type] # for errors, which it cannot have
