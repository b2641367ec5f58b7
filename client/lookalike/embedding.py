"""Vectors: what the embedder is asked for."""

from lookalike import convert
from lookalike.channel import EMBEDDER
from lookalike.records import Model
from lookalike.servers import Servers
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import embedder_pb2 as wire


async def model(servers: Servers, request_id: str) -> Model:
    """The embedder's model."""
    request = wire.GetModelRequest()
    return convert.model(await servers.ask(EMBEDDER, servers.embedder.GetModel, request, request_id))


async def embed(servers: Servers, data: bytes, request_id: str) -> common.Embedding:
    """The vector of an image file, without delay: in the interactive lane."""
    request = wire.EmbedRequest(image=data)
    return (await servers.ask(EMBEDDER, servers.embedder.Embed, request, request_id)).embedding
