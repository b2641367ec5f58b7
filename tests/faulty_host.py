"""A web server of images that now and then fails, stalls, breaks off, or lies about sizes."""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

_TROUBLES: Final[Mapping[str, int]] = {
    "busy": 6,
    "busy for a second": 1,
    "stalls": 1,
    "breaks off": 4,
    "sends less than it says": 4,
    "sends more than it says": 2,
    "says that it is huge": 1,
    "says no size": 6,
}
"""What can go wrong, and how often beside the others."""


class FaultyHost:
    """Serves files by their paths, each with an ETag.

    Args:
        files: by path.
        seed: decides what goes wrong.
        share: of the requests, that go wrong.

    Attributes:
        port: where, while it serves.
        requests: how many there have been.
        troubles: how often each thing went wrong.
    """

    def __init__(self, files: Mapping[str, bytes], *, seed: int, share: float) -> None:
        self._files, self._share = files, share
        self._dice = random.Random(seed)  # noqa: S311 - no secret
        self.port = self.requests = 0
        self.troubles: Counter[str] = Counter()

    def calm_down(self) -> None:
        """Let nothing go wrong from now on."""
        self._share = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve in the block."""
        handlers: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._connection(reader, writer))
            handlers.add(task)
            task.add_done_callback(handlers.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for task in handlers:
                task.cancel()
            await asyncio.gather(*handlers, return_exceptions=True)
            await server.wait_closed()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            try:
                while await self._answer((await reader.readuntil(b"\r\n\r\n")).decode(), writer):
                    await writer.drain()
                await writer.drain()
            finally:
                writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> bool:
        """Answer a request; whether the connection goes on."""
        self.requests += 1
        lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        data = self._files.get(lines[0].split(" ")[1])
        if self._dice.random() < self._share:
            [trouble] = self._dice.choices([*_TROUBLES], [*_TROUBLES.values()])
            self.troubles[trouble] += 1
            await self._misbehave(trouble, data or b"", writer)
            return False
        if data is None:
            _write(writer, "404 Not Found", 0, b"")
        elif headers.get("if-none-match") == _etag(data):
            writer.write(f"HTTP/1.1 304 Not Modified\r\nETag: {_etag(data)}\r\n\r\n".encode())
        else:
            _write(writer, "200 OK", len(data), data)
        return True

    async def _misbehave(self, trouble: str, data: bytes, writer: asyncio.StreamWriter) -> None:
        match trouble:
            case "busy":
                _write(writer, "503 Service Unavailable", 0, b"")
            case "busy for a second":
                _write(writer, "503 Service Unavailable\r\nRetry-After: 1", 0, b"")
            case "stalls":
                await asyncio.sleep(60)
            case "breaks off":
                _write(writer, "200 OK", len(data), data[: len(data) // 2])
            case "sends less than it says":
                _write(writer, "200 OK", len(data) + 1000, data)
            case "sends more than it says":
                _write(writer, "200 OK", len(data) // 2, data)
            case "says that it is huge":
                _write(writer, "200 OK", 10**10, data)
            case "says no size":
                _write(writer, "200 OK", None, data)


def _write(writer: asyncio.StreamWriter, status: str, size: int | None, body: bytes) -> None:
    length = "Connection: close" if size is None else f"Content-Length: {size}"
    etag = f"ETag: {_etag(body)}\r\n" if status.startswith("200") else ""
    writer.write(f"HTTP/1.1 {status}\r\nContent-Type: image/jpeg\r\n{etag}{length}\r\n\r\n".encode() + body)


def _etag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()}"'
