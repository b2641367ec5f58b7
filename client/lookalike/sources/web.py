"""Manifests on the web: fsspec reads them in parts, over connections that go to permitted addresses only."""

from collections.abc import Callable
from typing import IO, Any

import aiohttp
from fsspec.implementations.http import HTTPFileSystem
from yarl import URL

from lookalike.errors import InvalidRequestError
from lookalike.fetch import address, connector


def opened(name: str) -> tuple[IO[bytes], Callable[[], bool]]:
    """The manifest at a URL, to be read, and whether its own address is not public.

    Its own host may be anywhere, as whoever runs us names it; redirects lead to public addresses only.

    Raises:
        InvalidRequestError: it is no URL.
        Exception: of many kinds: it cannot be read.
    """
    try:
        url = URL(name)
        address.check_spelling(url)
    except ValueError as error:
        raise InvalidRequestError(f"{name!r} is no URL: {error}", reason="INVALID_URI") from error
    is_private = [lambda: False]

    async def get_client(**settings: Any) -> aiohttp.ClientSession:  # noqa: ANN401 - aiohttp's own
        session, is_private[0] = connector.to_one(url, **settings)
        return session

    file: IO[bytes] = HTTPFileSystem(get_client=get_client, skip_instance_cache=True).open(name, "rb")
    return file, lambda: is_private[0]()
