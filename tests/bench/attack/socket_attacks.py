"""What strangers do to an HTTP server, with plain sockets: each function is the work of a process or a thread."""

import contextlib
import itertools
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Final

Address = tuple[str, int]

_PIECE: Final = 64 * 1024
_HEAD: Final = b"%s HTTP/1.1\r\nHost: localhost\r\n"
_CHUNKED: Final = _HEAD % b"POST /v1/projects" + b"Transfer-Encoding: chunked\r\n\r\n"

FLOODS: Final = {
    "header lines": (_HEAD % b"GET /healthz", b"X-Header: some value\r\n"),
    "one header": (_HEAD % b"GET /healthz" + b"X-Header: ", b"a"),
    "the URL": (b"GET /", b"a"),
    "trailers": (_CHUNKED + b"0\r\n", b"X-Trailer: some value\r\n"),
    "one trailer": (_CHUNKED + b"0\r\nX-Trailer: ", b"a"),
    "one extension": (_CHUNKED + b"1;", b"a"),
    "extensions": (_CHUNKED, b"1;" + b"a" * 100 + b"\r\nx\r\n"),
    "empty lines": (b"", b"\r\n"),
}
"""How each begins, and what then comes again and again."""


def flood(address: Address, size: int) -> None:
    """Send so many bytes of each kind, one after the other, as far as they are taken."""
    for begin, more in FLOODS.values():
        piece = more * (_PIECE // len(more))
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=10) as connection:
            connection.sendall(begin)
            for _ in range(size // _PIECE):
                connection.sendall(piece)


def hold(address: Address, count: int, seconds: float) -> int:
    """Hold so many connections in several ways; how many of them are still open after these seconds."""
    held = [_connected(address, said) for said in itertools.islice(_sayings(), count)]
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        for number, connection in enumerate(held):
            if number % 4 < 2:  # these drip
                with contextlib.suppress(OSError):
                    connection.send(b"a")
        time.sleep(min(1.0, max(0.0, end - now)))
    still = sum(map(_is_open, held))
    for connection in held:
        connection.close()
    return still


def _sayings() -> Iterator[bytes]:
    """How held connections begin: two that drip, in a head and in a body, and two that are silent after it."""
    body = (
        _HEAD % b"POST /v1/projects/bench/image-search" + b"Content-Length: 100000\r\nContent-Type: image/jpeg\r\n\r\n"
    )
    yield from itertools.cycle((_HEAD % b"GET /healthz", body, b"", body))


def _connected(address: Address, said: bytes) -> socket.socket:
    connection = socket.create_connection(address, timeout=10)
    with contextlib.suppress(OSError):
        connection.sendall(said)
    connection.setblocking(False)
    return connection


def _is_open(connection: socket.socket) -> bool:
    try:
        while select.select([connection], [], [], 0)[0]:
            if not connection.recv(_PIECE):
                return False
    except OSError:
        return False
    return True


def health(address: Address, ended: threading.Event) -> list[float]:
    """Ask for health on one connection, again and again; the seconds that each answer took."""
    waits = []
    with socket.create_connection(address, timeout=30) as connection:
        while not ended.wait(0.05):
            began = time.perf_counter()
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            if not connection.recv(_PIECE):
                raise ConnectionError("health was not answered")
            waits.append(time.perf_counter() - began)
    return waits
