"""Find the duplicates of a whole project, also when the connection is lost on the way, and merge them."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime

from lookalike._operations import encode, projects
from lookalike._transport import server_stream
from lookalike._transport.call import Call
from lookalike._transport.channel import SEARCHER
from lookalike.records import Filter, KeepRule, MergeResult
from lookalike.v1 import searcher_pb2 as wire


def request(
    project_name: str,
    *,
    min_similarity: float | None,
    same_file_only: bool,
    verify: bool,
    chosen: Filter | None,
    other: Filter | None,
    rest: bool,
    across_products: bool,
    newer_than: datetime | None,
    keep: KeepRule,
    recoloured: bool,
    resume_token: str,
) -> wire.FindDuplicatesRequest:
    """Return the request to send. Raises InvalidRequestError."""
    with encode.sendable():
        message = wire.FindDuplicatesRequest(
            project=project_name,
            min_similarity=min_similarity,
            same_file_only=same_file_only,
            verify=verify,
            filter=encode.filter_(chosen) if chosen else None,
            other=encode.filter_(other) if other else None,
            rest=rest,
            across_products=across_products,
            keep=wire.KeepRule.Value(f"KEEP_RULE_{keep.name}"),
            recoloured=recoloured,
            resume_token=resume_token,
        )
        if newer_than is not None:
            message.newer_than.FromDatetime(newer_than)
        return message


async def answers(call: Call, request: wire.FindDuplicatesRequest) -> AsyncGenerator[wire.FindDuplicatesResponse, None]:
    """Yield the answers, also over several connections; see `server_stream`."""
    await projects.get(call, request.project)  # says at once what is wrong, or that nobody is there
    answers = server_stream.answers(call, call.searcher.FindDuplicates, request)
    async with aclosing(answers):
        async for answer in answers:
            yield answer


async def merge(call: Call, project_name: str, keep: str, duplicates: Sequence[str], *, dry_run: bool) -> MergeResult:
    """Merge duplicates into the image that is kept, both by hash."""
    with encode.sendable():
        request = wire.MergeDuplicatesRequest(
            project=project_name,
            keep_sha256=bytes.fromhex(keep),
            duplicate_sha256s=map(bytes.fromhex, duplicates),
            dry_run=dry_run,
        )
    response = await call.ask(SEARCHER, call.searcher.MergeDuplicates, request)
    return MergeResult(response.moved_reference_count, response.deleted_image_count)
