"""Deletes what a manifest no longer has."""

from collections.abc import AsyncGenerator

from lookalike._operations import images
from lookalike._transport.servers import Servers
from lookalike.indexing.seen import Seen
from lookalike.indexing.shard import Shard
from lookalike.records import Reference


async def others(
    servers: Servers, project: str, seen: Seen, within: str, shard: Shard, request_id: str
) -> AsyncGenerator[list[Reference], None]:
    """Yield the project's references that were not seen: those whose URIs begin with `within` and are of the shard."""
    async for page in images.reference_pages(servers, project, within, request_id):
        if unseen := seen.others(one for one in page if shard.has(one.uri)):
            yield unseen
