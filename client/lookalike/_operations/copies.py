"""Find out which pictures are copies of a project's photos."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from typing import Final

from lookalike._concurrency.budget import Budget, Room
from lookalike._operations import projects, search, source
from lookalike._transport.call import Call
from lookalike._transport.retry import with_retries
from lookalike.errors import InvalidRequestError, UnreadableImageError
from lookalike.fetch import Fetcher, Settings
from lookalike.records import Hit, Item, MatchBasis, Query, SearchResult, Suspect

_AT_ONCE: Final = 4
"""Pictures that are fetched and searched for at once. Others' searches share the embedder's lane with them."""
_VERIFIED: Final = (MatchBasis.FILE, MatchBasis.FINGERPRINT)


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
        data = fetched.data if fetched else b""  # it is never None: only what has a stamp may be unchanged
        query = Query(image=data, limit=candidates, verify=candidates, thorough=thorough)
        result = await with_retries(lambda: _first_page(call, project_name, query))
    except (InvalidRequestError, UnreadableImageError) as error:
        return Suspect(item.uri, error=error)
    unverified = sum(hit.match_basis not in _VERIFIED for hit in result.hits)
    return Suspect(item.uri, tuple(filter(_is_proven, result.hits)), unverified)


def _is_proven(hit: Hit) -> bool:
    return hit.proof is not None or hit.match_basis is MatchBasis.FILE


async def _first_page(call: Call, project_name: str, query: Query) -> SearchResult:
    async with aclosing(search.pages(call, project_name, query)) as pages:
        return await anext(pages)
