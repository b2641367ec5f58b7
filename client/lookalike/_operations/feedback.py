"""Record, list and delete feedback on searches, and say what it tells about their quality."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from lookalike._operations import decode, encode
from lookalike._operations.paging import pages
from lookalike._transport.call import Call
from lookalike._transport.channel import SEARCHER
from lookalike._transport.retry import with_retries
from lookalike.records import Embedding, Feedback, HitVerdict, SearchQuality
from lookalike.v1 import searcher_pb2 as wire

_PAGE_SIZE: Final = 500


async def record(
    call: Call,
    project_name: str,
    search_id: str,
    verdicts: Sequence[HitVerdict],
    sha256: str | None,
    uri: str | None,
    embedding: Embedding | None,
) -> int:
    """Say which hits of a search were right, wrong or clicked; how much of that was new."""
    with encode.sendable("feedback"):
        search_feedback = wire.SearchFeedback(
            search_id=search_id,
            verdicts=map(encode.verdict, verdicts),
            query_sha256=bytes.fromhex(sha256 or ""),
            query_uri=uri or "",
            query_embedding=encode.embedding(embedding) if embedding else None,
        )
        request = wire.RecordFeedbackRequest(project=project_name, searches=[search_feedback])
    response = await call.ask(SEARCHER, call.searcher.RecordFeedback, request)
    return response.changed_count


async def list_all(call: Call, project_name: str) -> AsyncGenerator[Feedback, None]:
    """Yield all feedback, oldest first, fetching page after page. Patient as `images.list_all`."""
    request = wire.ListFeedbackRequest(project=project_name, page_size=_PAGE_SIZE)
    ask = partial(call.ask, SEARCHER, call.searcher.ListFeedback, request)
    async for response in pages(request, ask, lambda: with_retries(ask)):
        for message in response.feedback:
            yield decode.feedback(message)


async def delete(call: Call, project_name: str, search_ids: Sequence[str], before: datetime | None) -> int:
    """Delete feedback; on how many searches that was."""
    with encode.sendable():
        request = wire.DeleteFeedbackRequest(project=project_name, search_ids=search_ids)
        if before is not None:
            request.search_time_before.FromDatetime(before)
    response = await call.ask(SEARCHER, call.searcher.DeleteFeedback, request)
    return response.deleted_count


async def quality(call: Call, project_name: str, days: int) -> SearchQuality:
    """Return how good the searches of the last days were."""
    with encode.sendable():
        request = wire.GetSearchQualityRequest(project=project_name, days=days)
    response = await call.ask(SEARCHER, call.searcher.GetSearchQuality, request)
    return decode.quality(response)
