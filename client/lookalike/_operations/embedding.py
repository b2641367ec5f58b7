"""Ask the embedder for its model and for vectors."""

import asyncio

from lookalike._operations import decode
from lookalike._operations.encode import sendable
from lookalike._transport.call import Call
from lookalike._transport.channel import EMBEDDER
from lookalike._transport.message_batches import IMAGES
from lookalike._transport.stream_pool import StreamPool
from lookalike.records import Model
from lookalike.v1 import embedder_pb2 as wire


async def model(call: Call) -> Model:
    """Return the record of the embedder's model."""
    request = wire.GetModelRequest()
    return decode.model(await call.ask(EMBEDDER, call.embedder.GetModel, request))


async def embed(call: Call, data: bytes, *, fingerprint: bool = False, views: bool = False) -> wire.EmbedResponse:
    """Return the vector of an image file, by the interactive lane, which does not wait for bulk work; views do."""
    request = wire.EmbedRequest(image=data, fingerprint=fingerprint, views=views)
    return await call.ask(EMBEDDER, call.embedder.Embed, request)


async def embed_text(call: Call, text: str) -> wire.EmbedTextResponse:
    """Return the vector of a text. Raises InvalidRequestError if it cannot be sent."""
    with sendable("text"):
        request = wire.EmbedTextRequest(text=text)
    return await call.ask(EMBEDDER, call.embedder.EmbedText, request)


def bulk(
    call: Call, requests: "asyncio.Queue[wire.EmbedStreamRequest | None]", streams: int
) -> StreamPool[wire.EmbedStreamRequest, wire.EmbedStreamResponse]:
    """Return the vectors of the image files in a queue, over several streams of the bulk lane."""
    return StreamPool(
        lambda: call.embedder.EmbedStream(metadata=call.metadata(EMBEDDER)),
        requests,
        streams=streams,
        server="embedder",
        timeout=call.timeout,
        batches=IMAGES,
    )
