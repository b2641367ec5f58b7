"""Read lists that come page by page (AIP-158)."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol, TypeVar


class Page(Protocol):
    """A page says where the next one begins; that is empty on the last one."""

    @property
    def next_page_token(self) -> str: ...


class Paged(Protocol):
    """A request asks for a page by its token."""

    page_token: str


P = TypeVar("P", bound=Page)


async def pages(
    request: Paged, ask: Callable[[], Awaitable[P]], again: Callable[[], Awaitable[P]] | None = None
) -> AsyncGenerator[P, None]:
    """Yield all pages, one after the other.

    Args:
        request: what is sent; it is told where to go on.
        ask: sends it.
        again: likewise, from the second page on.
    """
    page = await ask()
    while True:
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
        page = await (again or ask)()
