"""Feedback on searches: said, listed, deleted, and what it says about their quality."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from lookalike._operations import decode, encode
from lookalike._operations.paging import pages
from lookalike._transport.channel import SEARCHER
from lookalike._transport.retry import patiently
from lookalike._transport.servers import Servers
from lookalike.records import Embedding, Feedback, HitVerdict, SearchQuality
from lookalike.v1 import searcher_pb2 as wire

_PAGE_SIZE: Final = 500


async def record(
    servers: Servers,
    project: str,
    search_id: str,
    verdicts: Sequence[HitVerdict],
    sha256: str | None,
    uri: str | None,
    embedding: Embedding | None,
    request_id: str,
) -> int:
    """Say which hits of a search were right, wrong or clicked; how much of that was new."""
    with encode.sendable("feedback"):
        searched = wire.SearchFeedback(
            search_id=search_id,
            verdicts=map(encode.verdict, verdicts),
            query_sha256=bytes.fromhex(sha256 or ""),
            query_uri=uri or "",
            query_embedding=encode.embedding(embedding) if embedding else None,
        )
        request = wire.RecordFeedbackRequest(project=project, searches=[searched])
    response = await servers.ask(SEARCHER, servers.searcher.RecordFeedback, request, request_id)
    return response.changed_count


async def list_all(servers: Servers, project: str, request_id: str) -> AsyncGenerator[Feedback, None]:
    """Yield all feedback, oldest first, fetching page after page. Patient as `images.list_all`."""
    request = wire.ListFeedbackRequest(project=project, page_size=_PAGE_SIZE)
    ask = partial(servers.ask, SEARCHER, servers.searcher.ListFeedback, request, request_id)
    async for found in pages(request, ask, lambda: patiently(ask)):
        for one in found.feedback:
            yield decode.feedback(one)


async def delete(
    servers: Servers, project: str, search_ids: Sequence[str], before: datetime | None, request_id: str
) -> int:
    """Delete feedback; on how many searches that was."""
    with encode.sendable():
        request = wire.DeleteFeedbackRequest(project=project, search_ids=search_ids)
        if before is not None:
            request.search_time_before.FromDatetime(before)
    response = await servers.ask(SEARCHER, servers.searcher.DeleteFeedback, request, request_id)
    return response.deleted_count


async def quality(servers: Servers, project: str, days: int, request_id: str) -> SearchQuality:
    """How good the searches of the last days were."""
    with encode.sendable():
        request = wire.GetSearchQualityRequest(project=project, days=days)
    response = await servers.ask(SEARCHER, servers.searcher.GetSearchQuality, request, request_id)
    return decode.quality(response)
