"""Which addresses are connected to: decided on what a name was resolved to, for each connection, when it is made.

Two things ask: a resolver, so that a name is refused with all its addresses, and the connector, right before it opens a
socket, which sees what no resolver does: addresses that a URL names itself.
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
"""Names that are remembered."""
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*").fullmatch
"""The last label of what is an address and no name, by the URL Standard of the WHATWG (`ends in a number`)."""


class PrivateAddress(OSError):
    """A name or an address is not public."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EACCES, message)  # aiohttp shows what is the second of two

    def __str__(self) -> str:
        """The message alone."""
        return self.strerror or ""


class OddHost(ValueError):
    """A host is an address that is not spelled as addresses are."""


class PinnedResolver(AbstractResolver):
    """Resolves names; one whose first answer was public stays public, and one that was private stays in its ranges.

    Args:
        resolver: is asked.
        may_be_private: whether a name may have addresses that are not public.
    """

    def __init__(self, resolver: AbstractResolver, may_be_private: Callable[[str], bool] = lambda _: True) -> None:
        self._resolver, self._may_be_private = resolver, may_be_private
        self._pins: dict[str, frozenset[str]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises PrivateAddress if any is in a range that is not public, nor of its first."""
        found = await self._resolver.resolve(host, port, family)
        private = {one["host"]: why for one in found if (why := why_not_public(one["host"]))}
        if host not in self._pins:
            self._pin(host, private.values() if self._may_be_private(host) else ())
        for address, why in private.items():
            if not self.permits(host, why):
                raise _refusal(host, address)
        return found

    def permits(self, host: str, why: str) -> bool:
        """Whether a name had, at first, an address that was not public for this reason."""
        return why in self._pins.get(host, ())

    def _pin(self, host: str, whys: Iterable[str]) -> None:
        if len(self._pins) >= _PINS:
            del self._pins[next(iter(self._pins))]
        self._pins[host] = frozenset(whys)

    async def close(self) -> None:
        """Let go of what it holds."""
        await self._resolver.close()


class PublicResolver(PinnedResolver):
    """Resolves names to public addresses only: what it checks is what is connected to."""

    def __init__(self, resolver: AbstractResolver) -> None:
        super().__init__(resolver, lambda _: False)


AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""As `socket.getaddrinfo` has it."""


def guarded(permits: Callable[[str, int], bool]) -> Callable[[AddressInfo], socket.socket]:
    """What makes a connector's sockets: for public addresses, and for those addresses and ports that are permitted.

    It raises PrivateAddress for any other, and for what is no address in its usual spelling.
    """

    def open_socket(found: AddressInfo) -> socket.socket:
        family, kind, protocol, _, (host, port, *_) = found
        if not is_literal(host) or (why_not_public(host) and not permits(host, port)):
            raise _refusal(host, host)
        return socket.socket(family, kind, protocol)

    return open_socket


def check(host: str) -> None:
    """Raise PrivateAddress if the host is a literal address that is not public; a name passes."""
    if is_literal(host) and why_not_public(host):
        raise _refusal(host, host)


def check_spelling(url: URL) -> None:
    """Raise OddHost if the host is an address as only some programs read it, such as 127.1, 0x7f.1 or 2130706433."""
    host = url.raw_host or ""
    last = host.removesuffix(".").rpartition(".")[2].lower()
    if _NUMBER(last) and not is_literal(host):
        raise OddHost(f"{host} is no address in its usual spelling")


def is_literal(host: str) -> bool:
    """Whether it is an address, and no name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def same_host(one: URL, other: URL) -> bool:
    """Whether both are of the same host, each by its scheme's usual port, or both by the same one."""
    usual = all(url.port == _PORTS.get(url.scheme) for url in (one, other))
    return one.host == other.host and (usual or one.port == other.port)


def _refusal(host: str, address: str) -> PrivateAddress:
    named = "" if host == address else f" of {host}"
    return PrivateAddress(f"{address}{named} is not a public address: {why_not_public(address)}")
