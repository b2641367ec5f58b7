"""Sessions of aiohttp that go to permitted addresses only; whoever reads from the web has one of these.

public   to public addresses
any      to any, but a name that was public stays so
of one   to public addresses, and to one host wherever it is: what a manifest's URL leads to
"""

from collections.abc import Callable
from typing import Any, Final

import aiohttp
from yarl import URL

from lookalike.fetch import address
from lookalike.fetch.ranges import why_not_public

_CONNECTIONS: Final = 64
NAMES_KEPT_SECONDS: Final = 10
"""For how long an answer of the name server is good."""
_USUAL: Final = (80, 443)
"""Those of one host, as in `address.same_host`."""

Settings = dict[str, Any]
"""Further arguments of the session."""


def to_public(**settings: Any) -> aiohttp.ClientSession:  # noqa: ANN401 - aiohttp's own
    """A session that goes to public addresses only."""
    return _session(address.PublicResolver(aiohttp.ThreadedResolver()), lambda _host, _port: False, settings)


def to_any(**settings: Any) -> aiohttp.ClientSession:  # noqa: ANN401 - aiohttp's own
    """A session that goes to any address; but a name that was public, or of one network, stays so."""
    return _session(address.PinnedResolver(aiohttp.ThreadedResolver()), lambda _host, _port: True, settings)


def to_one(url: URL, **settings: Any) -> tuple[aiohttp.ClientSession, Callable[[], bool]]:  # noqa: ANN401 - aiohttp's own
    """A session that goes to public addresses and to the URL's own host and port; and whether that is not public."""
    host, ports = url.raw_host or "", _USUAL if url.port in _USUAL else (url.port,)
    resolver = address.PinnedResolver(aiohttp.ThreadedResolver(), lambda name: name == host)
    private: set[str] = set()

    def permits(found: str, port: int) -> bool:
        own = found == host or resolver.permits(host, why_not_public(found))
        if permitted := own and port in ports:
            private.add(found)
        return permitted

    return _session(resolver, permits, settings), lambda: bool(private)


def _session(
    resolver: address.PinnedResolver, permits: Callable[[str, int], bool], settings: Settings
) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=_CONNECTIONS,
        resolver=resolver,
        socket_factory=address.guarded(permits),
        ttl_dns_cache=NAMES_KEPT_SECONDS,
    )
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), **settings)
