"""A server of the embedder's service that computes nothing, for what every server has."""

from typing import Any

from lookalike._transport.channel import EMBEDDER
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceServicer, add_EmbedderServiceServicer_to_server
from lookalike_embedder.errors import STATUS
from lookalike_serving.server import Draining, Server


async def _probe() -> None:
    pass


def small_server(servicer: EmbedderServiceServicer, **more: object) -> Server:
    """It is healthy, and listens on a free port; `more` are further arguments of the server, or others."""
    arguments: dict[str, Any] = {
        "address": "127.0.0.1:0",
        "table": STATUS,
        "probe": _probe,
        "draining": Draining(),
        "options": [],
        "probe_interval": 60,
        "grace": 5,
        **more,
    }
    return Server(EMBEDDER, lambda server: add_EmbedderServiceServicer_to_server(servicer, server), **arguments)
