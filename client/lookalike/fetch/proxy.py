"""Choose the proxy for a URL from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, as curl does.

A proxy looks up the name of the image's host itself. So that it leads to no private address on behalf of a manifest,
the name is looked up here too, and judged as for a direct connection. A name that only the proxy knows is left to it.
"""

import socket
from collections.abc import Callable, Iterable
from typing import Final
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from lookalike.fetch import address
from lookalike.fetch.ranges import why_not_public

_KINDS: Final = ("http", "https", "all")
Permits = Callable[[str, int], bool]


def proxy_of(url: URL) -> URL | None:
    """Return the proxy for a URL; None if its host is to be reached directly."""
    proxies = getproxies_environment()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or proxy_bypass_environment(url.authority, proxies):
        return None
    return _parsed(found)


def _parsed(proxy: str) -> URL:
    return URL(proxy if "://" in proxy else f"http://{proxy}")


def _configured() -> list[URL]:
    proxies = getproxies_environment()
    return [_parsed(proxies[kind]) for kind in _KINDS if proxies.get(kind)]


class ProxyGate(AbstractResolver):
    """Let connections through to the configured proxies wherever they are, and judge what is asked of them.

    Args:
        resolver: resolves all names but those of proxies, and refuses what is not allowed.
        permits: tells whether an address that is not public may be connected to, by address and port.
    """

    def __init__(self, resolver: address.PinnedResolver, permits: Permits) -> None:
        self._resolver, self._permits = resolver, permits
        self._lookup = resolver.lookup
        self._proxies = {(proxy.raw_host or "", proxy.port or 0) for proxy in _configured()}
        self._names = {name for name, _ in self._proxies}
        self._addresses = {(name, port) for name, port in self._proxies if address.is_literal(name)}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name; those of a proxy may be private."""
        if (host, port) not in self._proxies:
            return await self._resolver.resolve(host, port, family)
        results = await self._lookup.resolve(host, port, family)
        self._addresses.update((result["host"], port) for result in results)
        return results

    async def close(self) -> None:
        """Close the resolver that does the lookups."""
        await self._resolver.close()

    def permits(self, host: str, port: int) -> bool:
        """Return whether an address that is not public may be connected to."""
        return (host, port) in self._addresses or self._permits(host, port)

    async def judge(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Refuse a request whose host a direct connection would refuse; this is a middleware of aiohttp.

        Raises:
            PrivateAddress: the host is not public.
        """
        host, port = request.url.raw_host or "", request.url.port or 0
        if request.proxy or host in self._names or (host, port) in self._addresses:
            for one in await self._addresses_of(host, port):
                if why_not_public(one) and not self._permits(one, port):
                    raise address.refusal(host, one)
        return await handler(request)

    async def _addresses_of(self, host: str, port: int) -> Iterable[str]:
        if address.is_literal(host):
            return [host]
        try:
            return [result["host"] for result in await self._resolver.resolve(host, port)]
        except address.PrivateAddress:
            raise
        except OSError:  # only the proxy knows the name
            return []
