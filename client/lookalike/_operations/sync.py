"""Makes a product show exactly its images: read and hash, embed what is not there yet, store all at once."""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from typing import Final

import grpc

from lookalike._concurrency.budget import Budget
from lookalike._concurrency.task_group import task_group
from lookalike._operations import embedding, images, projects, source
from lookalike._operations.encode import sendable
from lookalike._transport.call import Call
from lookalike._transport.channel import SEARCHER
from lookalike.errors import InvalidRequestError, LookalikeError, PreconditionError, UnreadableImageError, from_item
from lookalike.records import Item, Outcome, Project, Status, SyncResult
from lookalike.v1 import embedder_pb2 as embedder
from lookalike.v1 import searcher_pb2 as wire

_MAX_ITEMS: Final = 1_000
_MAX_BYTES: Final = 64 * 1024 * 1024
"""Bytes of images on their way to the embedder."""
_MAX_FINGERPRINT_BYTES: Final = 8 * 1024 * 1024
"""All entries travel in one message, of which vectors and references may take the other half. A thousand photos have
fingerprints of some 6 MB. Where there is no room, the last ones are left out, and `reread` of `index` brings them."""

Entry = tuple[Item, wire.ImageEntry]


async def sync(call: Call, project_name: str, product: str, items: Iterable[Item], embed_streams: int) -> SyncResult:
    """Make the product show the items' images and no others. Raises LookalikeError; then nothing has changed."""
    try:
        project = await projects.get(call, project_name)
        return await _Sync(call, project, product, embed_streams).run(items)
    except LookalikeError as error:
        error.request_id = error.request_id or call.request_id
        raise


class _Sync:
    """One run, for one product; its calls bear the request id."""

    def __init__(self, call: Call, project: Project, product: str, embed_streams: int) -> None:
        self._call = call
        self._project, self._product = project, product
        self._embed_streams = embed_streams
        self._fingerprint_bytes = 0

    async def run(self, items: Iterable[Item]) -> SyncResult:
        """Do what the function `sync` says."""
        space = await projects.space_to_fill(self._call, self._project)
        entries = [(item, await _entry(item)) for item in _at_most(items)]
        await self._embed(await self._missing(entries, space))
        try:
            response = await self._store(entries)
        except PreconditionError as error:
            if error.reason != "EMBEDDING_NEEDED":
                raise
            await self._embed(await self._missing(entries, space))  # an image has gone since it was asked for
            response = await self._store(entries)
        outcomes = (_outcome(item, status) for (item, _), status in zip(entries, response.statuses, strict=True))
        return SyncResult(tuple(outcomes), response.deleted_reference_count, response.deleted_image_count)

    async def _missing(self, entries: list[Entry], space: str) -> list[Entry]:
        """The entries of images that are neither stored nor embedded yet, one for each image."""
        embedded = {entry.sha256 for _, entry in entries if entry.HasField("embedding")}
        by_hash = {entry.sha256: (item, entry) for item, entry in entries if entry.sha256 not in embedded}
        project_name = self._project.name
        stored = await images.check(self._call, project_name, list(by_hash), space)
        return [entry for sha256, entry in by_hash.items() if sha256 not in stored]

    async def _embed(self, entries: list[Entry]) -> None:
        """Add the images' vectors and sizes to the entries."""
        requests: asyncio.Queue[embedder.EmbedStreamRequest | None] = asyncio.Queue()
        budget, sizes = Budget(None, _MAX_BYTES), dict[int, int]()
        wanted = self._project.fingerprints_enabled

        async def send() -> None:
            for sequence, (item, entry) in enumerate(entries):
                data = await asyncio.to_thread(_read_again, item, entry.sha256)
                await budget.acquire(len(data))
                sizes[sequence] = len(data)
                requests.put_nowait(embedder.EmbedStreamRequest(sequence=sequence, image=data, fingerprint=wanted))
            requests.put_nowait(None)

        streams = embedding.bulk(self._call, requests, self._embed_streams)
        async with task_group() as group, aclosing(streams.answers()) as answers:
            group.create_task(send())
            async for answer in answers:
                budget.release(sizes[answer.sequence])
                self._note(answer, *entries[answer.sequence])

    def _note(self, answer: embedder.EmbedStreamResponse, item: Item, entry: wire.ImageEntry) -> None:
        if answer.HasField("error"):
            raise _of(item, from_item(answer.error, self._call.request_id))
        projects.check_space(self._project, answer.embedding.space)
        entry.embedding.CopyFrom(answer.embedding)
        entry.width, entry.height = answer.image_info.width, answer.image_info.height
        size = answer.fingerprint.ByteSize()
        if answer.HasField("fingerprint") and self._fingerprint_bytes + size <= _MAX_FINGERPRINT_BYTES:
            entry.fingerprint.CopyFrom(answer.fingerprint)
            self._fingerprint_bytes += size

    async def _store(self, entries: list[Entry]) -> wire.SyncProductResponse:
        with sendable("product"):
            request = wire.SyncProductRequest(
                project=self._project.name, product=self._product, entries=[entry for _, entry in entries]
            )
        return await self._call.ask(SEARCHER, self._call.searcher.SyncProduct, request)


def _at_most(items: Iterable[Item]) -> list[Item]:
    items = list(items)
    if len(items) > _MAX_ITEMS:  # said before they are embedded
        message = f"entries: must be at most {_MAX_ITEMS}, got {len(items)}"
        raise InvalidRequestError(message, reason="INVALID_FIELD", code=grpc.StatusCode.INVALID_ARGUMENT)
    return items


async def _entry(item: Item) -> wire.ImageEntry:
    """The item for the wire, but for its vector; the image's bytes are let go of."""
    try:
        reference = source.reference(item)
        data, sha256 = await asyncio.to_thread(source.read_and_hash, item)
    except LookalikeError as error:
        raise _of(item, error) from error.__cause__
    return wire.ImageEntry(sha256=sha256, reference=reference, file_size=len(data))


def _read_again(item: Item, sha256: bytes) -> bytes:
    data, new_sha256 = source.read_and_hash(item)
    if new_sha256 != sha256:
        raise _of(item, UnreadableImageError("the image changed while it was read", reason="UNREADABLE"))
    return data


def _of(item: Item, error: LookalikeError) -> LookalikeError:
    """The failure of one item, as the failure of all: it says which one's."""
    error.args = (f"{item.uri}: {error}",)
    error.metadata["uri"] = item.uri
    return error


def _outcome(item: Item, status: "wire.IndexStatus.ValueType") -> Outcome:
    return Outcome(item.uri, Status.INDEXED if status == wire.INDEX_STATUS_INDEXED else Status.UNCHANGED)
