"""Listen on a port, or say in one sentence why that is not possible."""

import os
import socket
from errno import errorcode


def address_of(host: str, port: int) -> str:
    """Return `HOST:PORT`, with brackets around an address of IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listen(host: str, port: int, flag: str = "--port") -> socket.socket:
    """Return a socket that listens; clients that connect before it is served wait.

    What is written to its connections is sent at once. asyncio's own loop leaves that to the socket unless it knows it
    to be TCP's, and then the second half of an answer waits 40 ms for the client to acknowledge the first.

    Args:
        host: the interface, by name or number; `::` is all of them, of IPv4 too.
        port: 0 picks a free one.
        flag: sets the port; the error names it.

    Raises:
        OSError: the port is taken, or the interface is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=1024, dualstack_ipv6=host == "::")
    except OSError as error:
        raise cannot_listen(host, port, flag, error) from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # which its connections inherit
    return listener


def cannot_listen(host: str, port: int, flag: str, error: OSError) -> OSError:
    """Return the error that says so in one sentence."""
    number = error.errno or 0
    reason = os.strerror(number) if number in errorcode else error.strerror  # else the name is unknown
    return OSError(f"cannot listen on {address_of(host, port)}: {reason}; see {flag}")
