"""Send images to the embedder, each once, however many items of a run wait for it.

Fingerprints are asked for too, unless the project has none; an embedder that makes none sends none.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import count

from lookalike.errors import LookalikeError, from_item
from lookalike.indexing.calls import Calls
from lookalike.indexing.job import Job
from lookalike.v1 import embedder_pb2 as embedder


class Embedding:
    """Embedding is the stage of a run in which images get their vectors.

    Args:
        calls: the calls to the servers.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._requests: asyncio.Queue[embedder.EmbedStreamRequest | None] = asyncio.Queue()
        self._numbers = count(1)
        self._sent: dict[int, bytes] = {}
        self._waiting: dict[bytes, list[Job]] = {}

    def put(self, job: Job) -> None:
        """Send the job's image to the embedder, unless the same one is on its way there. Its bytes are let go of."""
        waiting = self._waiting.setdefault(job.sha256, [])
        if not waiting:
            number = next(self._numbers)
            self._sent[number] = job.sha256
            wanted = self._calls.project.fingerprints_enabled
            self._requests.put_nowait(embedder.EmbedStreamRequest(sequence=number, image=job.data, fingerprint=wanted))
        waiting.append(job)
        job.data = b""

    def end(self) -> None:
        """Say that nothing more will come."""
        self._requests.put_nowait(None)

    async def results(self) -> AsyncGenerator[tuple[list[Job], embedder.EmbedStreamResponse | LookalikeError], None]:
        """Yield the jobs that waited for an image, with its vector or with what is wrong with the image.

        Raises:
            LookalikeError: the embedder stayed away, or failed.
        """
        async with aclosing(self._calls.embed(self._requests).answers()) as answers:
            async for answer in answers:
                jobs = self._waiting.pop(self._sent.pop(answer.sequence))
                if answer.HasField("error"):
                    yield jobs, from_item(answer.error, self._calls.call.request_id)
                else:
                    yield jobs, answer
