"""Open manifests on the web; fsspec reads them in parts, over connections to permitted addresses only."""

from collections.abc import Callable
from typing import IO, Any

import aiohttp
from fsspec.implementations.http import HTTPFileSystem

from lookalike.errors import InvalidRequestError
from lookalike.fetch import address, connector
from lookalike.fetch import url as urls


def open_manifest(name: str) -> tuple[IO[bytes], Callable[[], bool]]:
    """Open the manifest at a URL; the function tells whether its host's address is not public.

    The host of the URL may have any address, because the user names it; redirects lead to public addresses only.

    Raises:
        InvalidRequestError: the name is not a URL.
        Exception: the manifest cannot be read; fsspec raises errors of many types.
    """
    try:
        url = urls.parse(name)
        address.check_spelling(url)
    except ValueError as error:
        raise InvalidRequestError(f"{name!r} is not a URL: {error}", reason="INVALID_URI") from error
    is_private = [lambda: False]

    async def get_client(**settings: Any) -> aiohttp.ClientSession:  # noqa: ANN401 - aiohttp's own
        session, is_private[0] = connector.manifest_session(url, **settings)
        return session

    file: IO[bytes] = HTTPFileSystem(get_client=get_client, skip_instance_cache=True, encoded=True).open(str(url), "rb")
    return file, lambda: is_private[0]()
