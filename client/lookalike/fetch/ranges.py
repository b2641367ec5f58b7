"""Tell whether an address is public, by a table of the ranges that are not, each with its source document.

An IPv4 address is public unless it is listed here. An IPv6 address is public if it is a global unicast address
(2000::/3) and is not listed here; all other IPv6 addresses belong to this machine, to this network or to nobody. An
IPv6 address that wraps an IPv4 address is judged by the IPv4 address. The table holds the registries of special-purpose
addresses of IANA (RFC 6890), and further ranges that those registries leave to other documents.
"""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final

RANGES: Final[Mapping[str, str]] = {
    "0.0.0.0/8": "this network, RFC 791",
    "10.0.0.0/8": "private, RFC 1918",
    "100.64.0.0/10": "shared by a carrier's customers, RFC 6598",
    "127.0.0.0/8": "this machine, RFC 1122",
    "168.63.129.16/32": "Azure's platform, as its documentation says",
    "169.254.0.0/16": "link-local, RFC 3927; clouds keep their metadata there",
    "172.16.0.0/12": "private, RFC 1918",
    "192.0.0.0/24": "the IETF's protocols, RFC 6890",
    "192.0.2.0/24": "documentation, RFC 5737",
    "192.88.99.0/24": "relays of 6to4, withdrawn by RFC 7526",
    "192.168.0.0/16": "private, RFC 1918",
    "198.18.0.0/15": "benchmarks, RFC 2544",
    "198.51.100.0/24": "documentation, RFC 5737",
    "203.0.113.0/24": "documentation, RFC 5737",
    "224.0.0.0/4": "multicast, RFC 5771",
    "240.0.0.0/4": "reserved, RFC 1112; its last is the broadcast, RFC 919",
    "::/128": "no address, RFC 4291",
    "::1/128": "this machine, RFC 4291",
    "::/96": "compatible with IPv4, withdrawn by RFC 4291",
    "64:ff9b:1::/48": "translated to IPv4 in this network, RFC 8215",
    "100::/64": "discarded, RFC 6666",
    "100:0:0:1::/64": "a dummy, RFC 9780",
    "2001::/32": "tunnelled by Teredo, RFC 4380",
    "2001::/23": "the IETF's protocols, RFC 2928; benchmarks, RFC 5180; ORCHIDs, RFC 4843 and RFC 7343",
    "2001:db8::/32": "documentation, RFC 3849",
    "3fff::/20": "documentation, RFC 9637",
    "5f00::/16": "segment routing, RFC 9602",
    "fc00::/7": "unique local, RFC 4193; clouds keep their metadata there too",
    "fe80::/10": "link-local, RFC 4291",
    "fec0::/10": "site-local, withdrawn by RFC 3879",
    "ff00::/8": "multicast, RFC 4291",
}
"""Ranges that are not public, each with the reason and its document. The first range that holds an address counts."""

WRAPPERS: Final[Mapping[str, tuple[int, str]]] = {
    "::ffff:0:0/96": (12, "IPv4 mapped, RFC 4291"),
    "64:ff9b::/96": (12, "translated to IPv4, RFC 6052"),
    "2002::/16": (2, "tunnelled by 6to4, RFC 3056"),
}
"""Ranges that wrap an IPv4 address: the byte in which the IPv4 address begins, and the document."""

_RANGES: Final = [(ipaddress.ip_network(text), f"{text}, {why}") for text, why in RANGES.items()]
_WRAPPERS: Final = [(ipaddress.IPv6Network(text), *wrapper) for text, wrapper in WRAPPERS.items()]
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_NO_ADDRESS: Final = "not an address in its usual spelling"
_OUTSIDE: Final = "outside of 2000::/3, the global unicast addresses of RFC 4291"


@lru_cache(4096)
def why_not_public(text: str) -> str:
    """Return why an address is not public; empty if it is public.

    A scope (`%eth0`) is ignored. Text that is not an address in its usual spelling is not public either.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return _NO_ADDRESS
    return _of_ipv4(address) if isinstance(address, IPv4Address) else _of_ipv6(address)


def _of_ipv4(address: IPv4Address) -> str:
    return next((why for network, why in _RANGES if address in network), "")


def _of_ipv6(address: IPv6Address) -> str:
    for network, start, what in _WRAPPERS:
        if address in network:
            why = _of_ipv4(IPv4Address(address.packed[start : start + 4]))
            return f"{why} ({what})" if why else ""
    return next((why for network, why in _RANGES if address in network), "" if address in _UNICAST else _OUTSIDE)
