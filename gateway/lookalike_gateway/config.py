"""Every setting of the gateway is here, with its flag, environment variable, range and help."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Final

from lookalike.client import DEFAULT_EMBEDDER, DEFAULT_SEARCHER
from lookalike.constants import MAX_IMAGE_BYTES
from lookalike.credentials import Credentials
from lookalike_serving.http1.limits import IDLE_SECONDS, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, Limits
from lookalike_serving.options import Option
from lookalike_serving.settings import Port, ServerSettings

HTTP_PORT: Final = 8080
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True)
class Config(ServerSettings):
    """The gateway reads these settings. Times are in seconds.

    Attributes:
        credentials: how the servers are reached. It holds no token: those of the callers are handed on.
    """

    METRICS_PORT: ClassVar[int] = 9463

    embedder: Annotated[str, Option("The embedder's address.", variable="LOOKALIKE_EMBEDDER")] = DEFAULT_EMBEDDER
    searcher: Annotated[str, Option("The searcher's address.", variable="LOOKALIKE_SEARCHER")] = DEFAULT_SEARCHER
    port: Port = HTTP_PORT
    timeout: Annotated[float, Option("Seconds until a call to a server gives up.", min=0.1)] = 30.0
    photos_roots: Annotated[
        tuple[Path, ...],
        Option(
            "Folder below which indexed files may be shown as thumbnails; may be repeated.",
            name="photos_root",
            shared=True,
            folder=True,
        ),
    ] = ()
    cors_origins: Annotated[
        tuple[str, ...],
        Option(
            "Origin whose pages may call the API, for example https://shop.example; may be repeated.",
            name="cors_origin",
        ),
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...],
        Option(
            "Name that requests may be addressed to; may be repeated; on loopback this machine's own, else any.",
            name="allowed_host",
        ),
    ] = ()
    max_upload_bytes: Annotated[
        int,
        Option("Bytes of the largest photo.", min=1, max=MAX_IMAGE_BYTES),
    ] = MAX_IMAGE_BYTES
    max_uploads: Annotated[int, Option("Photos that are embedded at once; room is for so many.", min=1)] = 32
    body_timeout: Annotated[
        float,
        Option("Seconds in which a request's head, and then its body, must have come.", min=0.1),
    ] = 30.0
    idle_timeout: Annotated[
        float,
        Option("Seconds that a connection is kept for a further request; longer than a balancer keeps it.", min=0.1),
    ] = IDLE_SECONDS
    max_connections: Annotated[int, Option("Connections at once.", min=1)] = MAX_CONNECTIONS
    max_connections_per_address: Annotated[
        int,
        Option(
            "Connections at once from one address; 0 for any number: behind a proxy all come from its address.", min=0
        ),
    ] = MAX_CONNECTIONS_PER_ADDRESS
    grace: Annotated[float, Option("Seconds for requests to end after SIGTERM.", min=1)] = 20.0
    credentials: Credentials = field(default_factory=Credentials)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return what the header Host may say; empty: anything.

        On loopback it must be this machine: a page elsewhere whose name was made to resolve to us is kept out.
        """
        return self.allowed_hosts or (LOOPBACK if self.host in LOOPBACK else ())

    @property
    def limits(self) -> Limits:
        """Return what one client may take of the server."""
        return Limits(
            message_seconds=self.body_timeout,
            idle_seconds=self.idle_timeout,
            connections=self.max_connections,
            connections_per_address=self.max_connections_per_address,
        )
