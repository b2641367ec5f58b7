"""`grpc.health.v1` for one service. Needs no more than the protocol's own package.

The servicer that comes with that package loses watchers when one of several ends, and its watches never end by
themselves, so that a drain would always last as long as it may.
"""

import asyncio
from collections.abc import AsyncIterator

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike_serving.errors import Context

_STATUS = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):
    """Tells how `service` and the whole server are: not serving until told otherwise."""

    def __init__(self, service: str) -> None:
        self._names = ("", service)
        self._serving = False
        self._ended = False
        self._changed = asyncio.Event()

    def tell(self, *, serving: bool) -> None:
        """Set the status, unless it has ended."""
        self._serving = serving and not self._ended
        self._notify()

    def end(self) -> None:
        """Say NOT_SERVING for good, and end all watches."""
        self._ended = True
        self._serving = False
        self._notify()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:
        """Answer with the status now."""
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"unknown service {request.service!r}")
        return _STATUS(status=self._status(request.service))

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Answer with the status now and whenever it changes, until the end."""
        told = None
        while True:
            changed = self._changed
            if (status := self._status(request.service)) != told:
                yield _STATUS(status=status)
                told = status
            if self._ended:
                return
            await changed.wait()

    def _status(self, name: str) -> int:
        if name not in self._names:
            return _STATUS.SERVICE_UNKNOWN
        return _STATUS.SERVING if self._serving else _STATUS.NOT_SERVING

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
