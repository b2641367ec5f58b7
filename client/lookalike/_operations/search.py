"""Search: embed what has to be embedded, then ask the searcher."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from lookalike._concurrency.task_group import task_group
from lookalike._operations import decode, embedding, encode, photo
from lookalike._transport.call import Call
from lookalike._transport.channel import SEARCHER
from lookalike.errors import LookalikeError, from_item
from lookalike.records import Query, SearchResult
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.embedder_pb2 import EmbedResponse

T = TypeVar("T")

_AT_ONCE: Final = 8
"""Images of one call that are read and embedded at once."""


async def pages(call: Call, project_name: str, query: Query) -> AsyncGenerator[SearchResult, None]:
    """Yield the answer to a search, page after page. What has to be embedded is embedded once."""
    request, embed_seconds = await _RequestBuilder(call).request(project_name, query)
    while True:
        started = time.perf_counter()
        response = await call.ask(SEARCHER, call.searcher.Search, request)
        yield decode.search_result(response, embed_seconds, time.perf_counter() - started)
        if not response.next_page_token:
            return
        request.page_token, embed_seconds = response.next_page_token, 0.0


async def batch(call: Call, project_name: str, queries: Sequence[Query]) -> list[SearchResult | LookalikeError]:
    """The answers to several searches, or why there is none, in their order."""
    builder = _RequestBuilder(call)
    requests = await _all(builder.request_or_error(project_name, query) for query in queries)
    sendable = [request for request in requests if not isinstance(request, LookalikeError)]
    results = iter(await _ask_all(call, sendable) if sendable or not queries else [])
    return [request if isinstance(request, LookalikeError) else next(results) for request in requests]


async def _ask_all(
    call: Call, timed_requests: Sequence[tuple[wire.SearchRequest, float]]
) -> list[SearchResult | LookalikeError]:
    started = time.perf_counter()
    request = wire.SearchBatchRequest(requests=[request for request, _ in timed_requests])
    response = await call.ask(SEARCHER, call.searcher.SearchBatch, request)
    seconds = time.perf_counter() - started
    return [
        from_item(result.error, call.request_id)
        if result.HasField("error")
        else decode.search_result(result.response, embed_seconds, seconds)
        for result, (_, embed_seconds) in zip(response.results, timed_requests, strict=True)
    ]


class _RequestBuilder:
    """Makes requests of queries, for one call of the library's user."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def request(self, project_name: str, query: Query) -> tuple[wire.SearchRequest, float]:
        """The request, and how long the embedder took."""
        request = encode.search(project_name, query)
        examples = [*zip(query.positives, request.positives, strict=True)]
        examples += zip(query.negatives, request.negatives, strict=True)
        to_embed = [(example.image, message.embedding) for example, message in examples if example.image is not None]
        started = time.perf_counter()
        if query.text is not None:
            request.embedding.CopyFrom((await embedding.embed_text(self._call, query.text)).embedding)
        await _all(self._embed(image, target) for image, target in to_embed)
        if query.image is not None:
            request.sha256, answer = await self._embed(
                query.image, request.embedding, fingerprint=query.verify > 0, views=query.thorough
            )
            if answer.HasField("fingerprint"):
                request.fingerprint.CopyFrom(answer.fingerprint)
            request.views.extend(answer.views)
        asked = to_embed or query.image is not None or query.text is not None
        return request, time.perf_counter() - started if asked else 0.0

    async def request_or_error(
        self, project_name: str, query: Query
    ) -> tuple[wire.SearchRequest, float] | LookalikeError:
        """The same; where that cannot be had, why."""
        try:
            return await self.request(project_name, query)
        except LookalikeError as error:
            return error

    async def _embed(
        self, image: bytes | Path, target: common.Embedding, *, fingerprint: bool = False, views: bool = False
    ) -> tuple[bytes, EmbedResponse]:
        """Put the image's vector where it belongs; the hash of its file, and the embedder's answer."""
        async with self._places:
            data = await asyncio.to_thread(photo.read, image)
            answer = await embedding.embed(self._call, data, fingerprint=fingerprint, views=views)
            target.CopyFrom(answer.embedding)
        return hashlib.sha256(data).digest(), answer


async def _all(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    async with task_group() as group:
        tasks = [group.create_task(coroutine) for coroutine in coroutines]
    return [task.result() for task in tasks]
