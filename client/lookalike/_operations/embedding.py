"""Vectors: what the embedder is asked for."""

import asyncio

from lookalike._operations import decode
from lookalike._transport.channel import EMBEDDER
from lookalike._transport.message_batches import IMAGES
from lookalike._transport.servers import Servers
from lookalike._transport.stream_pool import Spread
from lookalike.records import Model
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import embedder_pb2 as wire


async def model(servers: Servers, request_id: str) -> Model:
    """The embedder's model."""
    request = wire.GetModelRequest()
    return decode.model(await servers.ask(EMBEDDER, servers.embedder.GetModel, request, request_id))


async def embed(servers: Servers, data: bytes, request_id: str) -> common.Embedding:
    """The vector of an image file, without delay: in the interactive lane."""
    request = wire.EmbedRequest(image=data)
    return (await servers.ask(EMBEDDER, servers.embedder.Embed, request, request_id)).embedding


def bulk(
    servers: Servers, requests: "asyncio.Queue[wire.EmbedStreamRequest | None]", streams: int, request_id: str
) -> Spread[wire.EmbedStreamRequest, wire.EmbedStreamResponse]:
    """The vectors of the image files in a queue, over several streams of the bulk lane."""
    return Spread(
        lambda: servers.embedder.EmbedStream(metadata=servers.metadata(EMBEDDER, request_id)),
        requests,
        streams=streams,
        server="embedder",
        timeout=servers.timeout,
        bundles=IMAGES,
    )
