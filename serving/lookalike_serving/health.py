"""Serve `grpc.health.v1` for one service. It needs the package `grpc-health-checking` alone.

The servicer of that package loses watchers when one of several ends. Its watches never end by themselves, so a drain
would always take the whole grace period.
"""

import asyncio
from collections.abc import AsyncIterator

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike_serving.errors import Context

_STATUS = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):
    """The servicer tells how `service` and the whole server are. They are NOT_SERVING until `tell` says otherwise."""

    def __init__(self, service: str) -> None:
        self._names = ("", service)
        self._serving = False
        self._ended = False
        self._changed = asyncio.Event()

    def tell(self, *, serving: bool) -> None:
        """Set the status; after `end`, this changes nothing."""
        self._serving = serving and not self._ended
        self._notify()

    def end(self) -> None:
        """Say NOT_SERVING from now on, and end all watches."""
        self._ended = True
        self._serving = False
        self._notify()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:
        """Answer with the current status."""
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"unknown service {request.service!r}")
        return _STATUS(status=self._status(request.service))

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Answer with the current status, and again whenever it changes, until `end`."""
        last_sent = None
        while True:
            changed = self._changed
            if (status := self._status(request.service)) != last_sent:
                yield _STATUS(status=status)
                last_sent = status  # which may have changed while it was sent
            elif self._ended:
                return
            else:
                await changed.wait()

    def _status(self, name: str) -> int:
        if name not in self._names:
            return _STATUS.SERVICE_UNKNOWN
        return _STATUS.SERVING if self._serving else _STATUS.NOT_SERVING

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
