"""Deletes what a manifest no longer has."""

from collections.abc import AsyncGenerator

from lookalike._operations import images
from lookalike._transport.call import Call
from lookalike.indexing.seen import Seen
from lookalike.indexing.shard import Shard
from lookalike.records import Reference


async def others(
    call: Call, project: str, seen: Seen, within: str, shard: Shard
) -> AsyncGenerator[list[Reference], None]:
    """Yield the project's references that were not seen: those whose URIs begin with `within` and are of the shard."""
    async for page in images.reference_pages(call, project, within):
        if unseen := seen.others(one for one in page if shard.has(one.uri)):
            yield unseen
