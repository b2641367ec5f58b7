"""Hold what all methods of the client work with, from the first call until it is closed."""

from types import TracebackType
from typing import Self

from lookalike._transport.call import Call
from lookalike._transport.servers import Servers


class BaseClient:
    """The methods of `Client` are written in classes with this base, one for each kind of thing that is asked."""

    def __init__(self, servers: Servers, embed_streams: int) -> None:
        self._servers = servers
        self._embed_streams = embed_streams

    async def __aenter__(self) -> Self:
        """Return the client; connections are opened by the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections to both servers."""
        await self.close()

    async def close(self) -> None:
        """Close the connections; what is in flight is cancelled."""
        await self._servers.close()

    def _call(self) -> Call:
        return Call(self._servers)
