"""How the face is run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lookalike.client import DEFAULT_EMBEDDER, DEFAULT_SEARCHER
from lookalike.constants import MAX_IMAGE_BYTES
from lookalike.credentials import Credentials
from lookalike_serving.http1.limits import IDLE_SECONDS, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, Limits
from lookalike_serving.security.config import Security

HTTP_PORT: Final = 8080
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Config:
    """The settings.

    Attributes:
        embedder: the embedder's address.
        searcher: the searcher's address.
        host: the interface to listen on.
        port: 0 picks a free one.
        timeout: seconds until a call to a server gives up.
        photos_roots: folders below which indexed files may be shown as thumbnails.
        cors_origins: origins whose pages may call the API; `*` for any.
        allowed_hosts: what the header Host may say; empty: any. A page elsewhere whose name was made to resolve to our
            address is thereby kept out.
        max_upload_bytes: the largest photo.
        max_uploads: photos that are embedded at once; bodies have the room of as many of the largest size.
        body_timeout: seconds in which a request's head, and then its body, must have come.
        idle_timeout: seconds that a connection is kept for a further request.
        max_connections: at once.
        max_connections_per_address: at once from one address; 0: any number, for behind a proxy.
        grace: seconds for requests in flight to end after SIGTERM.
        credentials: how the servers are reached; without a token, as those of the callers are handed on.
        security: whom it lets in.
    """

    embedder: str = DEFAULT_EMBEDDER
    searcher: str = DEFAULT_SEARCHER
    host: str = "127.0.0.1"
    port: int = HTTP_PORT
    timeout: float = 30.0
    photos_roots: tuple[Path, ...] = ()
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = LOOPBACK
    max_upload_bytes: int = MAX_IMAGE_BYTES
    max_uploads: int = 32
    body_timeout: float = 30.0
    idle_timeout: float = IDLE_SECONDS
    max_connections: int = MAX_CONNECTIONS
    max_connections_per_address: int = MAX_CONNECTIONS_PER_ADDRESS
    grace: float = 20.0
    credentials: Credentials = field(default_factory=Credentials)
    security: Security = field(default_factory=Security)

    @property
    def limits(self) -> Limits:
        """What one client may take of the server."""
        return Limits(
            message_seconds=self.body_timeout,
            idle_seconds=self.idle_timeout,
            connections=self.max_connections,
            connections_per_address=self.max_connections_per_address,
        )
