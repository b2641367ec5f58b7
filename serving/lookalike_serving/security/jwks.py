"""A key set from a URL: one answer, of bounded size, in bounded time, from there and from nowhere else."""

import base64
import ssl
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from socket import SHUT_RDWR, socket
from threading import Timer
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

MAX_BYTES: Final = 1 << 20
"""A key set of a hundred keys has some fifty thousand."""
TIMEOUT_SECONDS: Final = 5.0
"""For all of it, from the connection to the last byte."""
_ACCEPT: Final = {"Accept": "application/json, application/jwk-set+json", "Accept-Encoding": "identity"}


def fetch(url: str) -> str:
    """What the URL, of http or https, serves. To be called on a thread.

    No redirect is followed: it could lead to a host that nobody has named, or out of TLS.

    Raises:
        OSError: it cannot be had so. The message says why, and holds nothing of the answer's.
    """
    parts = urlsplit(url)
    connection = _connection(parts)
    ended: list[bool] = []
    held: list[socket] = []

    def end() -> None:
        """Whoever sends a byte now and then does not hold us: what waits for him is woken."""
        ended.append(True)
        with suppress(OSError, AttributeError):  # not connected yet, or not any more
            (held[-1] if held else connection.sock).shutdown(SHUT_RDWR)

    timer = Timer(TIMEOUT_SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        answer = _answer(connection, parts, held)
    except (OSError, HTTPException, ValueError) as error:
        if ended or isinstance(error, TimeoutError):
            raise _too_late() from error
        told = type(error).__name__ if isinstance(error, HTTPException) else str(error)  # the former quote the answer
        raise OSError(told) from error
    else:
        if ended:  # what had come until then looks like a whole body
            raise _too_late()
        return answer
    finally:
        timer.cancel()
        connection.close()
        for one in held:
            one.close()


def _too_late() -> TimeoutError:
    return TimeoutError(f"no whole answer within {TIMEOUT_SECONDS:g} seconds")


def _connection(parts: SplitResult) -> HTTPConnection:
    """To the host, or to the proxy that the environment names for it."""
    host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme]
    proxy = urlsplit(getproxies().get(parts.scheme, ""))
    if parts.scheme == "http" or not proxy.hostname or proxy_bypass(host):
        return HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    connection = HTTPConnection(proxy.hostname, proxy.port or 80, timeout=TIMEOUT_SECONDS)
    said = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}".encode()
    known = {"Proxy-Authorization": f"Basic {base64.b64encode(said).decode()}"} if proxy.username else {}
    connection.set_tunnel(host, port, known)
    return connection


def _answer(connection: HTTPConnection, parts: SplitResult, held: list[socket]) -> str:
    """The answer's body; `held` is given the connection's sockets, which `connection` itself may let go."""
    connection.connect()
    held.append(connection.sock)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection.sock = context.wrap_socket(
            connection.sock, server_hostname=parts.hostname, do_handshake_on_connect=False
        )
        held.append(connection.sock)
        connection.sock.do_handshake()
    connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers=_ACCEPT)
    with connection.getresponse() as response:
        if response.status != HTTPStatus.OK:
            what = "a redirect, and none is followed" if 300 <= response.status < 400 else "no key set"
            raise OSError(f"status {response.status}: {what}")
        data = response.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise OSError(f"more than {MAX_BYTES} bytes")
        if response.length:
            raise OSError(f"{response.length} bytes are missing at the end")
        return data.decode()
