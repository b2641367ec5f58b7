"""A load of bulk work on an embedder, as lean as can be: its messages are made before."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, Final, Self

import grpc

from lookalike._transport.message_batches import IMAGES
from lookalike.v1 import embedder_pb2 as wire
from tests.bench.interleaving import steady_pace

_METHOD: Final = "/lookalike.v1.EmbedderService/EmbedStream"
_SETTLING_SECONDS: Final = 0.5


def messages(images: Iterable[bytes]) -> list[bytes]:
    """The messages that ask for these images, as they travel."""
    return [
        wire.EmbedStreamRequest(sequence=number, image=image).SerializeToString() for number, image in enumerate(images)
    ]


class Load:
    """Streams that send requests, each once over all of them, as fast as they are let; an async context manager.

    Attributes:
        answers: how many came, of which `failures` bear no vector.
    """

    def __init__(self, address: str, requests: Iterator[bytes], streams: int) -> None:
        self.answers = self.failures = 0
        self._address, self._requests, self._streams = address, requests, streams

    async def __aenter__(self) -> Self:
        """Begin."""
        self._channel = grpc.aio.insecure_channel(self._address)
        self._tasks = [asyncio.create_task(self._stream()) for _ in range(self._streams)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel what is unanswered, which the embedder then does not compute."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._channel.close()
        await asyncio.sleep(_SETTLING_SECONDS)  # what is being computed ends, before another party's turn

    async def pace(self, seconds: float, **options: float) -> float:
        """Answers per second, of endless requests."""
        found = await steady_pace(self._tasks, lambda: self.answers, seconds, **options)
        if self.failures:
            raise RuntimeError(f"{self.failures} of {self.answers} answers were failures")
        return found

    async def finish(self) -> None:
        """Wait for the last answer."""
        await asyncio.gather(*self._tasks)

    async def _stream(self) -> None:
        call: Any = self._channel.stream_stream(_METHOD)()
        writer = asyncio.create_task(self._write(call))
        try:
            while (answer := await call.read()) is not grpc.aio.EOF:
                found = wire.EmbedStreamResponse.FromString(answer)
                answers = IMAGES.unpack(found)
                self.answers += len(answers)
                self.failures += sum(not one.HasField("embedding") for one in answers)
            await writer
        finally:
            writer.cancel()
            call.cancel()

    async def _write(self, call: Any) -> None:  # noqa: ANN401 - grpc has no type for a call of raw bytes
        for request in self._requests:
            await call.write(request)
        await call.done_writing()
