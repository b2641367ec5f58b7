"""Images behind http and https, by aiohttp: fsspec's own way, which leaves redirects, sizes and Retry-After to it.

The stamp is the ETag, or else Last-Modified: with it the host is asked for the image only if it has changed.
"""

import asyncio
import random
import ssl
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Final, Self

import aiohttp
from yarl import URL

from lookalike._concurrency.budget import Room
from lookalike.fetch import address, connector, headers
from lookalike.fetch.host_limiter import Hosts
from lookalike.fetch.types import Failed, Fetched, Passing, Settings, too_large

_MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_PASSING: Final = (408, 425, 429, 500, 502, 503, 504)
_OF_THE_IMAGE: Final = "HTTP_500"
"""What says nothing of the host: programs that make images answer so for one that they cannot make."""
_GUESS: Final = 1024 * 1024
"""Room that is taken for an image before its size is known: nobody should wait for room while a host waits for him."""
_CHUNK: Final = 256 * 1024
_AGENT: Final = {"User-Agent": "lookalike", "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}


class Web:
    """Fetches images from hosts, and is gentle with each; an async context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.hosts = Hosts(settings)

    async def __aenter__(self) -> Self:
        """Open what holds the connections."""
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout, sock_connect=min(10.0, self._settings.timeout))

        self._any = connector.to_any(timeout=timeout, headers=_AGENT)
        self._public = connector.to_public(timeout=timeout, headers=_AGENT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._any.close()
        await self._public.close()

    async def fetch(self, uri: str, stamp: str, room: Room | None, *, public: bool = False) -> Fetched | None:
        """See `Place`. What may pass is tried again, while the host is not left alone.

        Args:
            uri: of the image.
            stamp: of what is known.
            room: where it is to be held.
            public: whether only public addresses are gone to.
        """
        url, first = _url(uri), self._public if public else self._any
        size, attempt = _GUESS, 1
        while True:
            try:
                if room:
                    await room.take(size)
                return await self._attempt(first, url, stamp, room)
            except _NoRoom as error:
                size = error.size
            except Passing as error:
                if attempt == self._settings.attempts or not error.asked:
                    raise
                await asyncio.sleep(0.2 * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - no secret
                attempt += 1

    async def _attempt(self, first: aiohttp.ClientSession, url: URL, stamp: str, room: Room | None) -> Fetched | None:
        async with self.hosts.turn(url.authority) as host:
            try:
                found = await self._get(first, url, stamp, room)
            except Passing as error:
                await host.judge(error, partial(self._gives, first), counts=error.reason != _OF_THE_IMAGE)
                raise
            except Failed:
                host.succeeded()  # it answers, if not with an image
                raise
            host.succeeded(str(url))
            return found

    async def _gives(self, first: aiohttp.ClientSession, uri: str) -> bool:
        try:
            await self._get(first, URL(uri), "", None)
        except (Failed, Passing):
            return False
        return True

    async def _get(self, first: aiohttp.ClientSession, url: URL, stamp: str, room: Room | None) -> Fetched | None:
        """Follow redirects to the image; the first request is made by `first`."""
        session, at = first, url
        for _ in range(_MAX_REDIRECTS + 1):
            try:
                async with session.get(at, headers=headers.conditions(stamp), allow_redirects=False) as response:
                    if response.status in _REDIRECTS:
                        at, session = self._redirected(first, url, at, response.headers)
                        continue
                    return await self._answered(url, response, stamp, room)
            except TimeoutError as error:
                message = f"{url}: not answered within {self._settings.timeout:g} s"
                raise Passing(message, reason="TIMEOUT") from error
            except (aiohttp.NonHttpUrlClientError, ssl.SSLCertVerificationError) as error:
                raise Failed(f"{url}: {error}", reason="UNREADABLE") from error
            except (ValueError, OverflowError) as error:  # no name of a host, or no port; aiohttp.InvalidURL too
                raise Failed(f"{url}: leads to what is no URL: {error}", reason="INVALID_URI") from error
            except (aiohttp.ClientError, OSError) as error:
                if isinstance(refusal := getattr(error, "os_error", error), address.PrivateAddress):
                    raise _refused(url, at, refusal) from error
                raise Passing(f"{url}: {error or type(error).__name__}", reason="CONNECTION") from error
        raise Failed(f"{url}: more than {_MAX_REDIRECTS} redirects", reason="TOO_MANY_REDIRECTS")

    def _redirected(
        self, first: aiohttp.ClientSession, url: URL, at: URL, answered: Mapping[str, str]
    ) -> tuple[URL, aiohttp.ClientSession]:
        """Where a redirect leads, and who may go there."""
        target = at.join(URL(answered.get("Location", "")))
        if target.scheme not in ("http", "https") or not target.host:
            raise Failed(f"{url}: is redirected to {str(target)!r}", reason="REDIRECT_REFUSED")
        address.check_spelling(target)
        if self._settings.private_redirects:
            return target, self._any
        return target, first if address.same_host(url, target) else self._public

    async def _answered(
        self, url: URL, response: aiohttp.ClientResponse, stamp: str, room: Room | None
    ) -> Fetched | None:
        status, found = response.status, headers.stamp_of(response.headers)
        if stamp and status == 304:
            return None
        if stamp and status == 200 and stamp == found:
            response.close()  # rather than to read what is known
            return None
        if status in _PASSING:
            wait = headers.retry_after(response.headers.get("Retry-After", "1" if status == 429 else ""))
            raise Passing(f"{url}: answered {status}", reason=f"HTTP_{status}", wait=wait)
        if status != 200:
            raise Failed(f"{url}: answered {status}", reason=f"HTTP_{status}")
        declared, most = response.content_length, self._settings.max_bytes
        if declared is not None and declared > most:
            response.close()
            raise too_large(str(url), most)
        if room is None:
            response.close()
            return Fetched(b"", found)
        size = most if declared is None else declared
        if not room.try_take(size):
            response.close()
            raise _NoRoom(size)
        return Fetched(await _body(response, str(url), most), found)


class _NoRoom(Exception):
    """There is no room for so many bytes yet: the host must be asked again when there is."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


async def _body(response: aiohttp.ClientResponse, uri: str, most: int) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        data += chunk
        if len(data) > most:
            response.close()
            raise too_large(uri, most)
    return bytes(data)


def _url(uri: str) -> URL:
    """Raises Failed."""
    try:
        url = URL(uri)
        address.check_spelling(url)
    except ValueError as error:
        raise Failed(f"{uri!r} is no URL: {error}", reason="INVALID_URI") from error
    if not url.host:
        raise Failed(f"{uri!r} names no host", reason="INVALID_URI")
    return url


def _refused(url: URL, at: URL, refusal: address.PrivateAddress) -> Failed:
    if at == url:
        return Failed(f"{url}: {refusal}", reason="ADDRESS_REFUSED")
    return Failed(f"{url}: is redirected to {at.host}: {refusal}", reason="REDIRECT_REFUSED")
