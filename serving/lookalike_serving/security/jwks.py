"""Fetch a key set from a URL: one answer, of bounded size, in bounded time, without redirects."""

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
"""A key set of a hundred keys has some 50,000 bytes."""
TIMEOUT_SECONDS: Final = 5.0
"""The limit covers everything, from the connection to the last byte."""
_ACCEPT: Final = {"Accept": "application/json, application/jwk-set+json", "Accept-Encoding": "identity"}


def fetch(url: str) -> str:
    """Return the text that an http or https URL serves. Call this on a thread: it blocks.

    No redirect is followed: it could lead to a host that the operator has not named, or out of TLS.

    Raises:
        OSError: the text cannot be fetched so. The message says why, and quotes nothing of the answer.
    """
    parts = urlsplit(url)
    connection = _connection(parts)
    ended: list[bool] = []
    sockets: list[socket] = []

    def end() -> None:
        """End the wait, even if a byte arrives now and then: shut the socket down, which wakes its reader."""
        ended.append(True)
        with suppress(OSError, AttributeError):  # not connected yet, or not any more
            (sockets[-1] if sockets else connection.sock).shutdown(SHUT_RDWR)

    timer = Timer(TIMEOUT_SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        answer = _answer(connection, parts, sockets)
    except (OSError, HTTPException, ValueError) as error:
        if ended or isinstance(error, TimeoutError):
            raise _too_late() from error
        cause = type(error).__name__ if isinstance(error, HTTPException) else str(error)  # the former quotes the answer
        raise OSError(cause) from error
    else:
        if ended:  # a body that was cut off can look whole
            raise _too_late()
        return answer
    finally:
        timer.cancel()
        connection.close()
        for sock in sockets:
            sock.close()


def _too_late() -> TimeoutError:
    return TimeoutError(f"no whole answer within {TIMEOUT_SECONDS:g} seconds")


def _connection(parts: SplitResult) -> HTTPConnection:
    """Return a connection to the host, or to the proxy that the environment names for it."""
    host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme]
    proxy = urlsplit(getproxies().get(parts.scheme, ""))
    if parts.scheme == "http" or not proxy.hostname or proxy_bypass(host):
        return HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    connection = HTTPConnection(proxy.hostname, proxy.port or 80, timeout=TIMEOUT_SECONDS)
    credentials = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}".encode()
    headers = {"Proxy-Authorization": f"Basic {base64.b64encode(credentials).decode()}"} if proxy.username else {}
    connection.set_tunnel(host, port, headers)
    return connection


def _answer(connection: HTTPConnection, parts: SplitResult, sockets: list[socket]) -> str:
    """Return the answer's body. Adds the connection's sockets to `sockets`, since `connection` may drop them."""
    # Authorities are read before the connection is made: if the time were up then, wrapping its socket would leak it.
    context = ssl.create_default_context() if parts.scheme == "https" else None
    connection.connect()
    sockets.append(connection.sock)
    if context:
        connection.sock = context.wrap_socket(
            connection.sock, server_hostname=parts.hostname, do_handshake_on_connect=False
        )
        sockets.append(connection.sock)
        connection.sock.do_handshake()
    connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers=_ACCEPT)
    with connection.getresponse() as response:
        if response.status != HTTPStatus.OK:
            problem = "a redirect, and none is followed" if 300 <= response.status < 400 else "no key set"
            raise OSError(f"status {response.status}: {problem}")
        data = response.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise OSError(f"more than {MAX_BYTES} bytes")
        if response.length:
            raise OSError(f"{response.length} bytes are missing at the end")
        return data.decode()
