"""Make aiohttp sessions that connect to permitted addresses only; everything that reads from the web uses one.

public_session     connects to public addresses
pinned_session     connects to any address, but a name that was public must stay public
manifest_session   connects to public addresses, and to the host of one manifest's URL wherever that is
"""

from collections.abc import Callable
from typing import Any, Final

import aiohttp
from yarl import URL

from lookalike.fetch import address
from lookalike.fetch.proxy import ProxyGate, proxy_of
from lookalike.fetch.ranges import why_not_public

_CONNECTIONS: Final = 64
NAMES_KEPT_SECONDS: Final = 10
"""How long an answer of the name server is cached."""
_USUAL: Final = (80, 443)
"""The usual ports count as the same host, as in `address.same_host`."""

SessionOptions = dict[str, Any]
"""Further arguments of `aiohttp.ClientSession`, by their names."""


def public_session(**settings: Any) -> aiohttp.ClientSession:  # noqa: ANN401 - aiohttp's own
    """Return a session that connects to public addresses only."""
    return _session(address.PublicResolver(aiohttp.ThreadedResolver()), lambda _host, _port: False, settings)


def pinned_session(**settings: Any) -> aiohttp.ClientSession:  # noqa: ANN401 - aiohttp's own
    """Return a session that connects to any address, but keeps each name in the ranges of its first answer."""
    return _session(address.PinnedResolver(aiohttp.ThreadedResolver()), lambda _host, _port: True, settings)


def manifest_session(url: URL, **settings: Any) -> tuple[aiohttp.ClientSession, Callable[[], bool]]:  # noqa: ANN401 - aiohttp's own
    """Return a session for the URL of a manifest, and a function that tells whether its host is private.

    The session connects to public addresses, and to the URL's own host and port. The function returns True once the
    session has connected to that host at an address that is not public.
    """
    host, ports = url.raw_host or "", _USUAL if url.port in _USUAL else (url.port,)
    resolver = address.PinnedResolver(aiohttp.ThreadedResolver(), lambda name: name == host)
    private: set[str] = set()

    def permits(contacted: str, port: int) -> bool:
        own = contacted == host or resolver.permits(host, why_not_public(contacted))
        if permitted := own and port in ports:
            private.add(contacted)
        return permitted

    return _session(resolver, permits, {"proxy": proxy_of(url), **settings}), lambda: bool(private)


def _session(
    resolver: address.PinnedResolver, permits: Callable[[str, int], bool], settings: SessionOptions
) -> aiohttp.ClientSession:
    gate = ProxyGate(resolver, permits)
    connector = aiohttp.TCPConnector(
        limit=_CONNECTIONS,
        resolver=gate,
        socket_factory=address.socket_factory(gate.permits),
        ttl_dns_cache=NAMES_KEPT_SECONDS,
    )
    jar = aiohttp.DummyCookieJar()
    return aiohttp.ClientSession(connector=connector, cookie_jar=jar, middlewares=(gate.judge,), **settings)
