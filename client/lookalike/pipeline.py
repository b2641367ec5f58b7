"""Indexing: read and hash, ask what is there already, embed the rest, store, acknowledge.

All stages run at once over a bounded number of items in flight, so that memory stays flat and the slowest stage sets
the pace:

    items ─ read ─ CheckImages ─┬─ new ─── EmbedStream, several ─┬─ IndexImages ─ outcomes
                                └─ known ────────────────────────┘
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

from lookalike import source
from lookalike.budget import Budget
from lookalike.errors import LookalikeError, QuotaExceededError, from_item
from lookalike.gathering import gathered
from lookalike.records import Item, Outcome, Status
from lookalike.resume import ResumableStream
from lookalike.spread import Spread
from lookalike.together import together
from lookalike.v1 import embedder_pb2 as embedder
from lookalike.v1 import searcher_pb2 as searcher

if TYPE_CHECKING:
    import grpc

MAX_ITEMS: Final = 1024
"""Items in flight: enough to keep a GPU's batches full while the searcher gathers a transaction and commits it."""
MAX_BYTES: Final = 256 * 1024 * 1024
"""Bytes of images in flight."""
_MAX_CHECKED: Final = 256
"""Hashes in one CheckImages."""
_MAX_AGAIN: Final = 1000
"""Items that are tried a second time; where more fail, it is not by chance."""
_TRANSIENT: Final = ("RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE")
"""Codes of item errors that may pass when the item is sent again, as the proto says."""

Check = Callable[[Sequence[bytes]], Awaitable[set[bytes]]]
OpenEmbed = Callable[[], "grpc.aio.StreamStreamCall[embedder.EmbedStreamRequest, embedder.EmbedStreamResponse]"]
CheckSpace = Callable[[str], None]
OpenIndex = Callable[[], "grpc.aio.StreamStreamCall[searcher.IndexImagesRequest, searcher.IndexImagesResponse]"]


@dataclass(eq=False)
class _Loaded:
    """An item that was read; `data` is let go of as soon as it is on its way."""

    sequence: int
    item: Item
    reference: searcher.Reference
    data: bytes
    size: int
    sha256: bytes


class Pipeline:
    """One run of indexing.

    Args:
        project: where to index.
        check: says which hashes the project holds.
        check_space: raises if the project has no such space.
        open_embed: opens an EmbedStream.
        open_index: opens an IndexImages.
        request_id: what the run's calls bear.
        embed_streams: the most EmbedStreams at once.
        timeout: the most seconds that a stream may owe an answer.
    """

    def __init__(
        self,
        project: str,
        *,
        check: Check,
        check_space: CheckSpace,
        open_embed: OpenEmbed,
        open_index: OpenIndex,
        request_id: str,
        embed_streams: int,
        timeout: float,
    ) -> None:
        self._request_id = request_id
        self._project = project
        self._check, self._check_space = check, check_space
        self._open_embed, self._open_index = open_embed, open_index
        self._embed_streams, self._timeout = embed_streams, timeout
        self._finished: asyncio.Queue[tuple[Outcome, int] | None] = asyncio.Queue()
        self._budget = Budget(MAX_ITEMS, MAX_BYTES)  # bounds all the queues
        self._in_flight: dict[int, _Loaded] = {}
        self._awaiting_embedding: dict[bytes, list[_Loaded]] = {}
        self._again: list[Item] = []
        self._last_try = False

    async def outcomes(self, items: Iterable[Item] | AsyncIterable[Item]) -> AsyncGenerator[Outcome, None]:
        """Yield an outcome for each item, as it is acknowledged. A caller who is slow to take them slows the run.

        Raises:
            LookalikeError: the run cannot go on; items without an outcome may or may not be stored.
        """
        running = asyncio.create_task(self._run(items))
        running.add_done_callback(lambda _: self._finished.put_nowait(None))
        try:
            while (finished := await self._finished.get()) is not None:
                outcome, size = finished
                yield outcome
                self._budget.release(size)
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _run(self, items: Iterable[Item] | AsyncIterable[Item]) -> None:
        """Pass the items through all stages, and those that failed by chance once more."""
        await self._pass(items)
        if self._again:
            self._last_try = True
            await self._pass(self._again)

    async def _pass(self, items: Iterable[Item] | AsyncIterable[Item]) -> None:
        self._to_embed: asyncio.Queue[embedder.EmbedStreamRequest | None] = asyncio.Queue()
        self._to_store: asyncio.Queue[searcher.IndexImagesRequest | None] = asyncio.Queue()
        async with together() as stages:
            stages.create_task(self._check_all(items))
            stages.create_task(self._embed_all())
            stages.create_task(self._store_all())

    async def _check_all(self, items: Iterable[Item] | AsyncIterable[Item]) -> None:
        """Send each item on to where it belongs: to be embedded, or straight to be stored."""
        async for batch in gathered(self._read_all(items), _MAX_CHECKED):
            known = set() if self._last_try else await self._check([loaded.sha256 for loaded in batch])
            for loaded in batch:
                if loaded.sha256 in known:
                    self._store(loaded, None)
                else:
                    self._embed_once(loaded)
        self._to_embed.put_nowait(None)

    async def _read_all(self, items: Iterable[Item] | AsyncIterable[Item]) -> AsyncGenerator[_Loaded, None]:
        numbers = count(1)
        async for item in source.each(items):
            try:
                reference = source.reference(item)
                data, sha256 = await asyncio.to_thread(source.read_and_hash, item)
            except LookalikeError as error:
                await self._budget.acquire(0)
                self._finish(item, 0, error)
                continue
            await self._budget.acquire(len(data))
            loaded = _Loaded(next(numbers), item, reference, data, len(data), sha256)
            self._in_flight[loaded.sequence] = loaded
            yield loaded

    def _embed_once(self, loaded: _Loaded) -> None:
        """Send the image to the embedder, unless the same one is on its way there."""
        waiting = self._awaiting_embedding.setdefault(loaded.sha256, [])
        if not waiting:
            self._to_embed.put_nowait(embedder.EmbedStreamRequest(sequence=loaded.sequence, image=loaded.data))
        waiting.append(loaded)
        loaded.data = b""

    async def _embed_all(self) -> None:
        streams = Spread(
            self._open_embed,
            self._to_embed,
            streams=self._embed_streams,
            server="embedder",
            timeout=self._timeout,
        )
        async with aclosing(streams.answers()) as answers:
            async for answer in answers:
                for loaded in self._awaiting_embedding.pop(self._in_flight[answer.sequence].sha256):
                    if answer.HasField("error"):
                        self._fail(loaded, from_item(answer.error, self._request_id))
                    else:
                        self._store(loaded, answer)
        self._to_store.put_nowait(None)  # checking ended before embedding could: nothing more will come

    def _store(self, loaded: _Loaded, answer: embedder.EmbedStreamResponse | None) -> None:
        request = searcher.IndexImagesRequest(
            sequence=loaded.sequence, project=self._project, sha256=loaded.sha256, reference=loaded.reference
        )
        if answer is not None:
            self._check_space(answer.embedding.space)
            request.embedding.CopyFrom(answer.embedding)
            request.width, request.height = answer.image_info.width, answer.image_info.height
        loaded.data = b""
        self._to_store.put_nowait(request)

    async def _store_all(self) -> None:
        stream = ResumableStream(self._open_index, self._to_store, server="searcher", timeout=self._timeout)
        async for answer in stream.answers():
            loaded = self._in_flight[answer.sequence]
            if answer.HasField("error"):
                self._fail(loaded, from_item(answer.error, self._request_id))
            else:
                del self._in_flight[answer.sequence]
                changed = answer.indexed.status == searcher.INDEX_STATUS_INDEXED
                self._finish(loaded.item, loaded.size, Status.INDEXED if changed else Status.UNCHANGED)

    def _fail(self, loaded: _Loaded, error: LookalikeError) -> None:
        """Let the item fail, or try it once more where that may help.

        EMBEDDING_NEEDED: when it was checked, the project held the image, but since then its last reference moved away.
        """
        del self._in_flight[loaded.sequence]
        transient = error.code.name in _TRANSIENT and not isinstance(error, QuotaExceededError)
        by_chance = transient or error.reason == "EMBEDDING_NEEDED"
        if by_chance and not self._last_try and len(self._again) < _MAX_AGAIN:
            self._again.append(loaded.item)
            self._budget.release(loaded.size)
        else:
            self._finish(loaded.item, loaded.size, error)

    def _finish(self, item: Item, size: int, result: Status | LookalikeError) -> None:
        error = result if isinstance(result, LookalikeError) else None
        status = Status.FAILED if isinstance(result, LookalikeError) else result
        self._finished.put_nowait((Outcome(item.uri, status, error), size))
