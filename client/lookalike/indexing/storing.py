"""Send entries to the searcher, many in a message, as that costs both sides much less."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from itertools import count
from typing import Final

from lookalike._concurrency.batches import batched
from lookalike._concurrency.task_group import task_group
from lookalike._operations.source import drain
from lookalike._transport.stream import ResumableStream
from lookalike.errors import LookalikeError, from_item
from lookalike.indexing.calls import Calls
from lookalike.indexing.job import Job
from lookalike.records import Status
from lookalike.v1 import embedder_pb2 as embedder
from lookalike.v1 import searcher_pb2 as wire

_ENTRIES: Final = 256
"""The most entries in a message."""
_MESSAGES: Final = 3
"""Messages that are unanswered at once; meanwhile the next one fills."""

Result = Status | LookalikeError


class Storing:
    """Stores what it is given, over one IndexImages.

    Args:
        calls: to the servers.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._entries: asyncio.Queue[tuple[Job, wire.ImageEntry] | None] = asyncio.Queue()
        self._requests: asyncio.Queue[wire.IndexImagesRequest | None] = asyncio.Queue()
        self._places = asyncio.Semaphore(_MESSAGES)
        self._sent: dict[int, list[Job]] = {}
        self._pending: Counter[bytes] = Counter()
        self._stored: set[bytes] | None = None

    def put(self, job: Job, answer: embedder.EmbedStreamResponse | None) -> None:
        """Store a job's reference; with its image, if the embedder's answer comes with it."""
        entry = wire.ImageEntry(sha256=job.sha256, reference=job.reference, stamp=job.stamp, file_size=job.size)
        if answer is not None:
            entry.embedding.CopyFrom(answer.embedding)
            entry.width, entry.height = answer.image_info.width, answer.image_info.height
            if answer.HasField("fingerprint"):
                entry.fingerprint.CopyFrom(answer.fingerprint)
            self._pending[job.sha256] += 1
        self._entries.put_nowait((job, entry))

    @contextmanager
    def remembered(self) -> Iterator[set[bytes]]:
        """Remember the images that are stored during the block: an answer that was begun before may not know them."""
        self._stored = set()
        try:
            yield self._stored
        finally:
            self._stored = None

    def has_pending(self, sha256: bytes) -> bool:
        """Say whether the image is on its way with its vector: later entries may rely on it, as order is kept."""
        return sha256 in self._pending

    def end(self) -> None:
        """Say that nothing more will come."""
        self._entries.put_nowait(None)

    async def results(self) -> AsyncGenerator[list[tuple[Job, Result]], None]:
        """Yield what became of the jobs, as it is acknowledged. Raises LookalikeError."""
        stream = ResumableStream(
            self._calls.open_index, self._requests, server="searcher", timeout=self._calls.call.timeout
        )
        async with task_group() as group, aclosing(stream.answers()) as answers:
            group.create_task(self._send())
            async for answer in answers:
                self._places.release()
                jobs = self._sent.pop(answer.sequence)
                results = answer.entries.results
                yield [(job, self._result(job, result)) for job, result in zip(jobs, results, strict=True)]

    async def _send(self) -> None:
        numbers = count(1)
        async for batch in batched(drain(self._entries), _ENTRIES):
            await self._places.acquire()
            number = next(numbers)
            self._sent[number] = [job for job, _ in batch]
            entries = [entry for _, entry in batch]
            self._requests.put_nowait(
                wire.IndexImagesRequest(sequence=number, project=self._calls.project.name, entries=entries)
            )
        self._requests.put_nowait(None)

    def _result(self, job: Job, result: wire.EntryResult) -> Result:
        self._pending[job.sha256] -= 1
        if self._pending[job.sha256] <= 0:
            del self._pending[job.sha256]
        if result.HasField("error"):
            return from_item(result.error, self._calls.call.request_id)
        if self._stored is not None:
            self._stored.add(job.sha256)
        changed = result.indexed.status == wire.INDEX_STATUS_INDEXED
        return Status.INDEXED if changed else Status.UNCHANGED
