"""Deletes what a manifest no longer has."""

from collections.abc import AsyncGenerator

from lookalike._operations import images
from lookalike._transport.call import Call
from lookalike.indexing.seen import Seen
from lookalike.indexing.shard import Shard
from lookalike.records import Reference


async def unseen_references(
    call: Call, project_name: str, seen: Seen, within: str, shard: Shard
) -> AsyncGenerator[list[Reference], None]:
    """Yield the project's references that were not seen: those whose URIs begin with `within` and are of the shard."""
    async for page in images.reference_pages(call, project_name, within):
        if unseen := seen.others(reference for reference in page if shard.has(reference.uri)):
            yield unseen
