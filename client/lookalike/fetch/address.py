"""Where redirects may lead: not to addresses that only we can reach."""

import ipaddress
import socket
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

_PORTS: Final = {"http": 80, "https": 443}


class PrivateAddress(OSError):
    """A name or an address is not public."""


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only: what it checks is what is connected to."""

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises PrivateAddress if any is not public."""
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            check(one["host"])
        return found

    async def close(self) -> None:
        """Let go of what it holds."""
        await self._resolver.close()


def check(host: str) -> None:
    """Raise PrivateAddress if the host is a literal address that is not public; a name passes."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return
    mapped = getattr(address, "ipv4_mapped", None) or address
    if not mapped.is_global or mapped.is_multicast:
        raise PrivateAddress(f"{host} is not a public address")


def same_host(one: URL, other: URL) -> bool:
    """Whether both are of the same host, each by its scheme's usual port, or both by the same one."""
    usual = all(url.port == _PORTS.get(url.scheme) for url in (one, other))
    return one.host == other.host and (usual or one.port == other.port)
