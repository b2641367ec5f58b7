"""Find out which pictures are copies of a project's photos."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from typing import Final

from lookalike._concurrency.budget import Budget, Room
from lookalike._operations import decode, embedding, photo, projects, search, source
from lookalike._transport.call import Call
from lookalike._transport.retry import with_retries
from lookalike.errors import InvalidRequestError, UnreadableImageError
from lookalike.fetch import Fetcher, Settings
from lookalike.records import Item, Query, SearchResult, Suspect

_AT_ONCE: Final = 4
"""Pictures that are fetched and searched for at once. Others' searches share the embedder's lane with them."""


async def find(
    call: Call,
    project_name: str,
    items: Iterable[Item] | AsyncIterable[Item],
    settings: Settings,
    candidates: int,
    *,
    thorough: bool,
) -> AsyncGenerator[Suspect, None]:
    """Yield what each picture was found to be, in their order. A picture that cannot be read fails alone."""
    await projects.get(call, project_name)  # says at once what is wrong, or that nobody is there
    async with Fetcher(settings) as fetcher, aclosing(source.batches(items, _AT_ONCE)) as batches:
        async for batch in batches:
            looked_for = (_suspect(call, project_name, fetcher, item, candidates, thorough=thorough) for item in batch)
            for suspect in await asyncio.gather(*looked_for):
                yield suspect


async def _suspect(
    call: Call, project_name: str, fetcher: Fetcher, item: Item, candidates: int, *, thorough: bool
) -> Suspect:
    try:
        fetched = await fetcher.fetch(item, "", Room(Budget(None, 0)))  # few are read at once
        data = photo.read(fetched.data if fetched else b"")  # it is never None: only what has a stamp may be unchanged
        embedded = decode.embedded(
            await with_retries(lambda: embedding.embed(call, data, fingerprint=True, views=thorough))
        )
        sha256 = hashlib.sha256(data).hexdigest()
        query = Query(
            embedding=embedded, sha256=sha256, limit=candidates, verify=candidates, thorough=bool(embedded.views)
        )
        hits = (await with_retries(lambda: _first_page(call, project_name, query))).hits
    except (InvalidRequestError, UnreadableImageError) as error:
        return Suspect(item.uri, error=error)
    copies = tuple(hit for hit in hits if hit.is_copy)
    picture = embedded.fingerprint.picture if embedded.fingerprint and copies else b""
    return Suspect(item.uri, copies, sum(not hit.is_compared for hit in hits), picture)


async def _first_page(call: Call, project_name: str, query: Query) -> SearchResult:
    async with aclosing(search.pages(call, project_name, query)) as pages:
        return await anext(pages)
