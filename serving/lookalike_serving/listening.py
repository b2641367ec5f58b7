"""Listen on a port, or say in one sentence why that is not possible."""

import os
import socket
from errno import errorcode


def listen(host: str, port: int, flag: str = "--port") -> socket.socket:
    """Return a socket that listens; clients that connect before it is served wait.

    Args:
        host: the interface, by name or number.
        port: 0 picks a free one.
        flag: sets the port; the error names it.

    Raises:
        OSError: the port is taken, or the interface is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise cannot_listen(host, port, flag, error) from error


def cannot_listen(host: str, port: int, flag: str, error: OSError) -> OSError:
    """Return the error that says so in one sentence."""
    number = error.errno or 0
    reason = os.strerror(number) if number in errorcode else error.strerror  # else the name is unknown
    return OSError(f"cannot listen on {host}:{port}: {reason}; see {flag}")
