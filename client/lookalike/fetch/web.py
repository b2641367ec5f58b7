"""Fetch images over http and https by aiohttp.

fsspec can do this too, but it does not control redirects, sizes and Retry-After. The stamp of an image is its ETag, or
else its Last-Modified header: with the stamp, the host sends the image only if it has changed.
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
from lookalike.fetch import address, connector, headers, origin
from lookalike.fetch import url as urls
from lookalike.fetch.host_limiter import HostLimiter
from lookalike.fetch.proxy import proxy_of
from lookalike.fetch.types import UNRESOLVED, Failed, Fetched, Settings, TransientFailure, too_large

_MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_TRANSIENT: Final = (408, 425, 429, 500, 502, 503, 504)
_IMAGE_ERROR: Final = "HTTP_500"
"""A failure that says nothing about the host: image servers answer 500 for a single image that they cannot make."""
_ASSUMED_BYTES: Final = 1024 * 1024
"""Memory that is reserved for an image before its size is known, so that no open request waits for memory."""
_CHUNK: Final = 256 * 1024
_AGENT: Final = {"User-Agent": "lookalike", "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}


class Web:
    """Fetch images over HTTP with a limited load on each host; an async context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.hosts = HostLimiter(settings)

    async def __aenter__(self) -> Self:
        """Open the HTTP sessions that hold the connections."""
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout, sock_connect=min(10.0, self._settings.timeout))

        self._pinned = connector.pinned_session(timeout=timeout, headers=_AGENT)
        self._public = connector.public_session(timeout=timeout, headers=_AGENT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections of both sessions."""
        await self._pinned.close()
        await self._public.close()

    async def fetch(self, uri: str, stamp: str, room: Room | None, *, public: bool = False) -> Fetched | None:
        """Fetch an image as `Backend.fetch` does; transient failures are retried unless the host is paused.

        Args:
            uri: the URL of the image.
            stamp: the stamp of the version that is known; empty if none is known.
            room: the memory that the image may take; None if the image is not to be read.
            public: whether to connect to public addresses only.
        """
        url, first = _url(uri), self._public if public else self._pinned
        size, attempt = _ASSUMED_BYTES, 1
        while True:
            try:
                if room:
                    await room.take(size)
                return await self._attempt(first, url, stamp, room)
            except _NoRoom as error:
                size = error.size
            except TransientFailure as error:
                if attempt == self._settings.attempts or not error.image_failed:
                    raise
                await asyncio.sleep(0.2 * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - no secret
                attempt += 1

    async def _attempt(self, first: aiohttp.ClientSession, url: URL, stamp: str, room: Room | None) -> Fetched | None:
        async with self.hosts.slot(url.authority) as host:
            try:
                fetched = await self._get(first, url, stamp, room)
            except TransientFailure as error:
                delivers = partial(self._delivers, first)
                await host.record_failure(error, str(url), delivers, counts=error.reason != _IMAGE_ERROR)
                raise
            except Failed:
                host.succeeded()  # the host answered, though not with an image
                raise
            host.succeeded(str(url))
            return fetched

    async def _delivers(self, first: aiohttp.ClientSession, uri: str) -> bool:
        try:
            await self._get(first, urls.parse(uri), "", None)
        except (Failed, TransientFailure):
            return False
        return True

    async def _get(self, first: aiohttp.ClientSession, url: URL, stamp: str, room: Room | None) -> Fetched | None:
        """Follow redirects to the image; the first request is sent by the session `first`."""
        session, at = first, url
        for _ in range(_MAX_REDIRECTS + 1):
            try:
                conditions = headers.conditional_headers(stamp)
                async with session.get(at, headers=conditions, allow_redirects=False, proxy=proxy_of(at)) as response:
                    if response.status in _REDIRECTS:
                        at, session = self._redirected(first, url, at, response.headers)
                        continue
                    return await self._answered(url, response, stamp, room)
            except TimeoutError as error:
                message = f"{url}: no answer within {self._settings.timeout:g} s"
                raise TransientFailure(message, reason="TIMEOUT") from error
            except (aiohttp.NonHttpUrlClientError, ssl.SSLCertVerificationError) as error:
                raise Failed(f"{url}: {error}", reason="UNREADABLE") from error
            except aiohttp.ClientHttpProxyError as error:
                raise _proxy_failure(url, error.status) from error
            except (ValueError, OverflowError) as error:  # host or port is not valid; aiohttp.InvalidURL too
                raise Failed(f"{url}: leads to an invalid URL: {error}", reason="INVALID_URI") from error
            except (aiohttp.ClientError, OSError) as error:
                cause = error.__cause__ or error  # aiohttp wraps what a middleware raises
                if isinstance(refusal := getattr(error, "os_error", cause), address.PrivateAddress):
                    raise _refused(url, at, refusal) from error
                if isinstance(error, aiohttp.ClientConnectorDNSError):
                    message = f"{url}: the host {error.host} is not found: {error.os_error}"
                    raise TransientFailure(message, reason=UNRESOLVED) from error
                raise TransientFailure(f"{url}: {error or type(error).__name__}", reason="CONNECTION") from error
        raise Failed(f"{url}: more than {_MAX_REDIRECTS} redirects", reason="TOO_MANY_REDIRECTS")

    def _redirected(
        self, first: aiohttp.ClientSession, url: URL, at: URL, answered: Mapping[str, str]
    ) -> tuple[URL, aiohttp.ClientSession]:
        """Return the target of a redirect, and the session that may follow it."""
        target = urls.parse(urls.join(str(at), answered.get("Location", "")))
        if target.scheme not in origin.WEB or not target.host:
            raise Failed(f"{url}: is redirected to {str(target)!r}", reason="REDIRECT_REFUSED")
        address.check_spelling(target)
        if self._settings.private_redirects:
            return target, self._pinned
        return target, first if address.same_host(url, target) else self._public

    async def _answered(
        self, url: URL, response: aiohttp.ClientResponse, stamp: str, room: Room | None
    ) -> Fetched | None:
        status, new_stamp = response.status, headers.stamp_of(response.headers)
        if stamp and status == 304:
            return None
        if stamp and status == 200 and stamp == new_stamp:
            response.close()  # the body is known already
            return None
        if status in _TRANSIENT:
            wait = headers.retry_after(response.headers.get("Retry-After", "1" if status == 429 else ""))
            raise TransientFailure(f"{url}: answered {status}", reason=f"HTTP_{status}", wait=wait)
        if status != 200:
            raise Failed(f"{url}: answered {status}", reason=f"HTTP_{status}")
        declared, limit = response.content_length, self._settings.max_bytes
        if declared is not None and declared > limit:
            response.close()
            raise too_large(str(url), limit)
        if room is None:
            response.close()
            return Fetched(b"", new_stamp)
        size = limit if declared is None else declared
        if not room.try_take(size):
            response.close()
            raise _NoRoom(size)
        return Fetched(await _body(response, str(url), limit), new_stamp)


class _NoRoom(Exception):
    """There is no room for `size` bytes yet: the request must be sent again when there is."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


async def _body(response: aiohttp.ClientResponse, uri: str, limit: int) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        data += chunk
        if len(data) > limit:
            response.close()
            raise too_large(uri, limit)
    return bytes(data)


def _url(uri: str) -> URL:
    """Parse a URL; raises Failed if it is not valid."""
    try:
        url = urls.parse(uri)
        address.check_spelling(url)
    except ValueError as error:
        raise Failed(f"{uri!r} is not a URL: {error}", reason="INVALID_URI") from error
    if not url.host:
        raise Failed(f"{uri!r} names no host", reason="INVALID_URI")
    return url


def _proxy_failure(url: URL, status: int) -> Failed | TransientFailure:
    """Return the failure of a URL that a proxy does not lead to."""
    message, reason = f"{url}: the proxy answered {status}", f"PROXY_{status}"
    return TransientFailure(message, reason=reason) if status in _TRANSIENT else Failed(message, reason=reason)


def _refused(url: URL, at: URL, refusal: address.PrivateAddress) -> Failed:
    if at == url:
        return Failed(f"{url}: {refusal}", reason="ADDRESS_REFUSED")
    return Failed(f"{url}: is redirected to {at.host}: {refusal}", reason="REDIRECT_REFUSED")
