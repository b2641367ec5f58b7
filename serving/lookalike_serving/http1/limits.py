"""What one client may take of a server."""

from dataclasses import dataclass
from typing import Final

MAX_CONNECTIONS: Final = 1000
MAX_CONNECTIONS_PER_ADDRESS: Final = 256
IDLE_SECONDS: Final = 75.0
"""Longer than balancers keep a connection idle, which is 60 s with most: so it is they who close it, not we."""


@dataclass(frozen=True)
class Limits:
    """The bounds.

    Attributes:
        head_bytes: of a request line and its header lines; beside its data, as many of a chunked body's framing.
        message_seconds: in which a head must have come, and then its body; and in which an answer must be taken.
        idle_seconds: between an answer and the next request.
        linger_seconds: in which what still comes is thrown away, so that whoever sends it can read our answer.
        connections: at once; never more than three quarters of the files that the process may open.
        connections_per_address: at once from one IPv4 address or one IPv6 network of 64 bits; 0: any number.
    """

    head_bytes: int = 64 * 1024
    message_seconds: float = 30.0
    idle_seconds: float = IDLE_SECONDS
    linger_seconds: float = 2.0
    connections: int = MAX_CONNECTIONS
    connections_per_address: int = MAX_CONNECTIONS_PER_ADDRESS
