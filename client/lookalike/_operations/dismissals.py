"""Say that images are no duplicates of one another, list what was said, and take it back."""

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Final

from lookalike._operations import decode_duplicates, encode
from lookalike._operations.paging import pages
from lookalike._transport.call import Call
from lookalike._transport.channel import SEARCHER
from lookalike._transport.retry import with_retries
from lookalike.records import Dismissal, DismissalPage
from lookalike.v1 import searcher_pb2 as wire

_PAGE_SIZE: Final = 1_000


async def dismiss(call: Call, project_name: str, sha256s: Sequence[str]) -> int:
    """Say that these images are no duplicates of one another; of how many pairs that is new."""
    with encode.sendable():
        request = wire.DismissDuplicatesRequest(project=project_name, sha256s=map(bytes.fromhex, sha256s))
    response = await call.ask(SEARCHER, call.searcher.DismissDuplicates, request)
    return response.dismissed_count


async def list_all(call: Call, project_name: str) -> AsyncGenerator[Dismissal, None]:
    """Yield all dismissals, oldest first, fetching page after page. Patient as `images.list_all`."""
    request = wire.ListDismissalsRequest(project=project_name, page_size=_PAGE_SIZE)
    ask = partial(call.ask, SEARCHER, call.searcher.ListDismissals, request)
    async for response in pages(request, ask, lambda: with_retries(ask)):
        for message in response.dismissals:
            yield decode_duplicates.dismissal(message)


async def page(call: Call, project_name: str, size: int, page_token: str) -> DismissalPage:
    """Return a page of dismissals."""
    with encode.sendable():
        request = wire.ListDismissalsRequest(project=project_name, page_size=size, page_token=page_token)
    response = await call.ask(SEARCHER, call.searcher.ListDismissals, request)
    return DismissalPage(tuple(map(decode_duplicates.dismissal, response.dismissals)), response.next_page_token)


async def delete(call: Call, project_name: str, sha256s: Sequence[str]) -> int:
    """Take dismissals back; of how many pairs."""
    with encode.sendable():
        request = wire.DeleteDismissalsRequest(project=project_name, sha256s=map(bytes.fromhex, sha256s))
    response = await call.ask(SEARCHER, call.searcher.DeleteDismissals, request)
    return response.deleted_count
