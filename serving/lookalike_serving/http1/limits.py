"""Limit what one client may take of a server."""

from dataclasses import dataclass
from typing import Final

MAX_CONNECTIONS: Final = 1000
MAX_CONNECTIONS_PER_ADDRESS: Final = 256
IDLE_SECONDS: Final = 75.0
"""Load balancers close an idle connection after 60 s or less, mostly. We wait longer, so that they close it, not we:
a request is never sent to a connection that we are closing."""


@dataclass(frozen=True)
class Limits:
    """These are the limits of one HTTP server.

    Attributes:
        head_bytes: the most bytes of a request line and its headers, and of the framing of a body in chunks.
        message_seconds: how long a head may take to arrive, then its body; and how long a client may take to read.
        idle_seconds: how long a connection may be idle between an answer and the next request.
        linger_seconds: how long data that still arrives is discarded, so that its sender can read our answer.
        connections: how many there may be at once; never more than three quarters of the files that may be open.
        connections_per_address: how many there may be at once from one IPv4 address, or from one IPv6 network of 64
            bits; 0: any number.
    """

    head_bytes: int = 64 * 1024
    message_seconds: float = 30.0
    idle_seconds: float = IDLE_SECONDS
    linger_seconds: float = 2.0
    connections: int = MAX_CONNECTIONS
    connections_per_address: int = MAX_CONNECTIONS_PER_ADDRESS
