"""Serve one EmbedStream: read it as fast as its images are answered."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from functools import partial

from lookalike.v1 import embedder_pb2 as wire
from lookalike_embedder.engine import Engine
from lookalike_embedder.errors import DeviceLost, TooManyEntries
from lookalike_embedder.job import Job
from lookalike_embedder.message_limits import MAX_ENTRIES

Answer = Callable[[int, Job], wire.EmbedStreamResponse]
"""Builds the answer from an image's sequence and its finished job."""


class BulkStream:
    """The stream has at most `engine.window` images in flight; beyond that, flow control slows the client.

    Args:
        engine: computes vectors.
        answer: builds the messages.
        fingerprints: whether fingerprints are made for those who ask.
    """

    def __init__(self, engine: Engine, answer: Answer, *, fingerprints: bool = True) -> None:
        self._engine, self._answer, self._fingerprints = engine, answer, fingerprints
        self._window = asyncio.Semaphore(engine.window)
        self._answers: asyncio.Queue[wire.EmbedStreamResponse | None] = asyncio.Queue()
        self._jobs: set[Job] = set()
        self._in_batches = False
        self._all_read = False
        self._lost: DeviceLost | None = None

    async def answers(
        self, requests: AsyncGenerator[wire.EmbedStreamRequest, None]
    ) -> AsyncIterator[wire.EmbedStreamResponse]:
        """Yield one answer for each image, in the order in which they are ready. Errors of `requests` come last.

        Once a request had several entries, answers that are ready at the same time share one message.

        Raises:
            DeviceLost: nothing more will be computed.
            TooManyEntries: one request has too many.
        """
        reader = asyncio.create_task(self._read(requests))
        try:
            while answers := await self._ready():
                yield wire.EmbedStreamResponse(entries=answers) if self._in_batches else answers[0]
                for _ in answers:
                    self._window.release()
            if self._lost:
                raise self._lost
            await reader
        finally:
            reader.cancel()
            for job in self._jobs:
                job.cancel()

    async def _ready(self) -> list[wire.EmbedStreamResponse]:
        """Return the next answer, and further ones for the same message; empty at the end."""
        answers: list[wire.EmbedStreamResponse] = []
        while (answer := await self._answers.get()) is not None:
            answers.append(answer)
            if not self._in_batches or len(answers) == MAX_ENTRIES or self._answers.empty():
                return answers
        if answers:
            self._answers.put_nowait(None)  # the next call must see the end, too
        return answers

    async def _read(self, requests: AsyncGenerator[wire.EmbedStreamRequest, None]) -> None:
        try:
            async with aclosing(requests):  # so that its objects are freed with the stream, not by the collector later
                async for request in requests:
                    for entry in self._entries(request):
                        await self._window.acquire()
                        done = partial(self._done, entry.sequence)
                        wanted = entry.fingerprint and self._fingerprints
                        self._jobs.add(await self._engine.submit(entry.image, done, fingerprint=wanted))
        finally:
            self._all_read = True
            self._end_after_last()

    def _entries(self, request: wire.EmbedStreamRequest) -> Iterable[wire.EmbedStreamRequest | wire.EmbedEntry]:
        if not request.entries:
            return (request,)
        if len(request.entries) > MAX_ENTRIES:
            raise TooManyEntries(MAX_ENTRIES)
        self._in_batches = True
        return request.entries

    def _done(self, sequence: int, job: Job) -> None:
        self._jobs.discard(job)
        if isinstance(job.failure, DeviceLost):
            self._lost = job.failure
            self._answers.put_nowait(None)
            return
        self._answers.put_nowait(self._answer(sequence, job))
        self._end_after_last()

    def _end_after_last(self) -> None:
        if self._all_read and not self._jobs:
            self._answers.put_nowait(None)
