"""The embedder's RPCs: from request to decode to batcher to answer."""

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import Executor

from lookalike.serving import Draining
from lookalike.status import Context, DomainError, InternalError, ShuttingDown
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import embedder_pb2 as wire
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceServicer
from lookalike_embedder import image
from lookalike_embedder.batcher import Batcher
from lookalike_embedder.errors import STATUS

logger = logging.getLogger(__name__)


class EmbedderService(EmbedderServiceServicer):
    """Answers from the model that `description` describes.

    Args:
        description: the answer to GetModel; its limits are applied.
        batcher: computes vectors.
        decoders: where images are decoded, off the event loop.
        draining: says when streams must end themselves.
        max_interactive: the most Embed calls in flight; more are refused at once.
        window: the most images of one stream in flight; flow control slows the client down beyond it.
    """

    def __init__(
        self,
        description: wire.GetModelResponse,
        batcher: Batcher,
        decoders: Executor,
        draining: Draining,
        *,
        max_interactive: int,
        window: int,
    ) -> None:
        self._description = description
        self._batcher = batcher
        self._decoders = decoders
        self._draining = draining
        self._max_interactive = max_interactive
        self._interactive = 0
        self._window = window
        self._limits = image.Limits(description.max_image_bytes, description.max_image_pixels)

    async def GetModel(self, request: wire.GetModelRequest, context: Context) -> wire.GetModelResponse:
        """See the proto."""
        return self._description

    async def Embed(self, request: wire.EmbedRequest, context: Context) -> wire.EmbedResponse:
        """See the proto."""
        if self._draining.has_begun():
            raise ShuttingDown
        if self._interactive >= self._max_interactive:
            raise self._batcher.overloaded(self._interactive)
        self._interactive += 1
        try:
            embedding, info = await self._embed(request.image)
        finally:
            self._interactive -= 1
        return wire.EmbedResponse(embedding=embedding, image_info=info)

    async def EmbedStream(
        self, request_iterator: AsyncIterator[wire.EmbedStreamRequest], context: Context
    ) -> AsyncIterator[wire.EmbedStreamResponse]:
        """See the proto."""
        answers: asyncio.Queue[wire.EmbedStreamResponse | None] = asyncio.Queue()
        window = asyncio.Semaphore(self._window)
        in_flight: set[asyncio.Task[None]] = set()
        reader = asyncio.create_task(self._read(request_iterator, answers, window, in_flight))
        try:
            while (answer := await answers.get()) is not None:
                yield answer
                window.release()
            await reader
        finally:
            for task in (reader, *in_flight):
                task.cancel()

    async def _read(
        self,
        requests: AsyncIterator[wire.EmbedStreamRequest],
        answers: asyncio.Queue[wire.EmbedStreamResponse | None],
        window: asyncio.Semaphore,
        in_flight: set[asyncio.Task[None]],
    ) -> None:
        """Start each request as soon as the window has room; end when all have been answered."""
        try:
            async for request in self._draining.until(requests):
                await window.acquire()
                task = asyncio.create_task(self._answer(request, answers))
                in_flight.add(task)
                task.add_done_callback(in_flight.discard)
        finally:
            if in_flight:
                await asyncio.wait(in_flight)
            answers.put_nowait(None)

    async def _answer(
        self, request: wire.EmbedStreamRequest, answers: asyncio.Queue[wire.EmbedStreamResponse | None]
    ) -> None:
        answer = wire.EmbedStreamResponse(sequence=request.sequence)
        try:
            embedding, info = await self._embed(request.image)
        except DomainError as error:
            answer.error.CopyFrom(STATUS.item_error(error))
        except Exception:
            logger.exception("unexpected failure on one image of a stream")
            answer.error.CopyFrom(STATUS.item_error(InternalError()))
        else:
            answer.embedding.CopyFrom(embedding)
            answer.image_info.CopyFrom(info)
        answers.put_nowait(answer)

    async def _embed(self, data: bytes) -> tuple[common.Embedding, wire.ImageInfo]:
        loop = asyncio.get_running_loop()
        decoded = await loop.run_in_executor(self._decoders, image.decode, data, self._limits)
        vector = await self._batcher.embed(decoded.pixels)
        embedding = common.Embedding(space=self._description.space, values=vector.tolist())
        info = wire.ImageInfo(sha256=decoded.sha256, format=decoded.format, width=decoded.width, height=decoded.height)
        return embedding, info
