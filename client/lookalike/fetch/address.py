"""Decide for each connection, when it is made, whether the address that a name resolved to is allowed.

There are two checks. The resolver refuses a name if any of its addresses is refused. The connector checks again right
before it opens a socket, because a URL that contains an IP address never reaches the resolver.
"""

import errno
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from lookalike.fetch.ranges import why_not_public

_PORTS: Final = {"http": 80, "https": 443}
_PINS: Final = 100_000
"""Names whose first addresses are remembered."""
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*").fullmatch
"""Matches the last label of a host that is an address, by the URL Standard of the WHATWG (`ends in a number`)."""


class PrivateAddress(OSError):
    """The name or the address is not public."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EACCES, message)  # aiohttp shows the second argument

    def __str__(self) -> str:
        """Return the message without the error number."""
        return self.strerror or ""


class NonStandardAddress(ValueError):
    """The host is an address in a spelling that only some programs understand."""


class PinnedResolver(AbstractResolver):
    """Resolve names, and refuse later answers that leave the address ranges of the first answer (DNS pinning).

    A name that was public at first must stay public. A name that was private must stay in the same private ranges.

    Args:
        resolver: the resolver that does the lookups.
        may_be_private: a function that tells whether a name may have addresses that are not public.
    """

    def __init__(self, resolver: AbstractResolver, may_be_private: Callable[[str], bool] = lambda _: True) -> None:
        self.lookup, self._may_be_private = resolver, may_be_private
        self._pins: dict[str, frozenset[str]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name.

        Raises:
            PrivateAddress: an address is not public, and the name's first answer was not in the same range.
        """
        results = await self.lookup.resolve(host, port, family)
        private = {result["host"]: why for result in results if (why := why_not_public(result["host"]))}
        if host not in self._pins:
            self._pin(host, private.values() if self._may_be_private(host) else ())
        for address, why in private.items():
            if not self.permits(host, why):
                raise refusal(host, address)
        return results

    def permits(self, host: str, why: str) -> bool:
        """Return whether the first answer for the name had an address that was not public for the same reason."""
        return why in self._pins.get(host, ())

    def _pin(self, host: str, whys: Iterable[str]) -> None:
        if len(self._pins) >= _PINS:
            del self._pins[next(iter(self._pins))]
        self._pins[host] = frozenset(whys)

    async def close(self) -> None:
        """Close the resolver that does the lookups."""
        await self.lookup.close()


class PublicResolver(PinnedResolver):
    """Resolve names to public addresses only; the checked addresses are the ones that are connected to."""

    def __init__(self, resolver: AbstractResolver) -> None:
        super().__init__(resolver, lambda _: False)


AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""One entry of the list that `socket.getaddrinfo` returns."""


def socket_factory(permits: Callable[[str, int], bool]) -> Callable[[AddressInfo], socket.socket]:
    """Return a socket factory for a connector: for public addresses, and for the permitted addresses and ports.

    The factory raises PrivateAddress for any other address, and for an address that is not in its usual spelling.
    """

    def open_socket(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, (host, port, *_) = info
        if not is_literal(host) or (why_not_public(host) and not permits(host, port)):
            raise refusal(host, host)
        return socket.socket(family, kind, protocol)

    return open_socket


def check(host: str) -> None:
    """Raise PrivateAddress if the host is a literal address that is not public; names are not checked."""
    if is_literal(host) and why_not_public(host):
        raise refusal(host, host)


def check_spelling(url: URL) -> None:
    """Raise NonStandardAddress if the host is an address in an unusual spelling: 127.1, 0x7f.1 or 2130706433."""
    host = url.raw_host or ""
    last = host.removesuffix(".").rpartition(".")[2].lower()
    if _NUMBER(last) and not is_literal(host):
        raise NonStandardAddress(f"{host} is not an address in its usual spelling")


def is_literal(host: str) -> bool:
    """Return whether the host is an IP address and not a name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def same_host(first: URL, second: URL) -> bool:
    """Return whether both URLs have the same host, and both the same port or both the usual port of their scheme."""
    usual = all(url.port == _PORTS.get(url.scheme) for url in (first, second))
    return first.host == second.host and (usual or first.port == second.port)


def refusal(host: str, address: str) -> PrivateAddress:
    """Return the error for an address of a host that is not public."""
    named = "" if host == address else f" of {host}"
    return PrivateAddress(f"{address}{named} is not a public address: {why_not_public(address)}")
