"""Say which addresses only this machine can reach."""

import ipaddress
import re
from typing import Final

_SCHEME: Final = re.compile(r"(dns|ipv4|ipv6):(?://[^/]*/)?")


def is_loopback(host: str) -> bool:
    """Say whether a host, by name or number, is this machine as it sees itself."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def stays_here(target: str) -> bool:
    """Say whether all that is sent to a gRPC target, for example `dns:///localhost:50051`, stays on this machine."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    addresses = _SCHEME.sub("", target, count=1).split(",")
    return all(is_loopback(_host(address)) for address in addresses)


def _host(address: str) -> str:
    """`host:port` without the port, which may be left out; an IPv6 address has colons of its own."""
    if address.startswith("[") or address.count(":") == 1:
        return address.rpartition(":")[0] if not address.endswith("]") else address
    return address
