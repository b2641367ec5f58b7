"""A URL of keys is asked once, and whatever it answers: bounded in bytes and time, and nowhere else is asked."""

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from lookalike_serving.security import jwks as fetching
from lookalike_serving.security.config import InvalidSecurity
from lookalike_serving.security.jwks import fetch
from lookalike_serving.security.keys import UrlSource
from tests.integration.test_tokens import logged
from tests.signing import Signer, jwks

Script = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"


@contextmanager
def answering(script: Script, *, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """A server that does with each connection what it is told; its address, and what it was asked."""
    asked: list[bytes] = []
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            with suppress(OSError):  # it is closed, or whoever has come is gone
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(10)
                    with tls.wrap_socket(connection, server_side=True) if tls else connection as spoken:
                        asked.append(spoken.recv(65536))
                        script(spoken)
                        spoken.shutdown(socket.SHUT_RDWR)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", asked
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def saying(data: bytes) -> Script:
    return lambda connection: connection.sendall(data)


def keys() -> bytes:
    text = jwks(Signer()).encode()
    return OK % (len(text), text)


def redirect(where: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Found\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["http://{}/", "https://{}/", "//{}/", "http://user@{}/keys"])
def test_no_redirect_is_followed_to_another_host(where: str, status: int) -> None:
    with (
        answering(saying(keys())) as (elsewhere, asked),
        answering(saying(redirect(where.format(elsewhere), status))) as (host, _),
        pytest.raises(OSError, match=f"status {status}: a redirect, and none is followed"),
    ):
        fetch(f"http://{host}/keys")
    assert not asked


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://127.0.0.1/", "data:,{}", "/keys", "", "keys\r\nX: y"])
def test_no_redirect_is_followed_to_a_file_or_in_a_circle(where: str) -> None:
    with (
        answering(saying(redirect(where))) as (host, asked),
        pytest.raises(OSError, match="none is followed"),
    ):
        fetch(f"http://{host}/keys")
    assert len(asked) == 1


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    with suppress(OSError):  # until he goes
        for _ in range(1000):
            connection.sendall(b" " * 65536)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (endless, "more than 1048576 bytes"),
        (saying(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200), "HTTPException"),
        (saying(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000), "LineTooLong"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"), "98 bytes are missing"),
        (saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n{}"), "IncompleteRead"),
        (saying(b"\x1b[2J forged\r\n\r\n"), "BadStatusLine"),
        (saying(b"HTTP/1.1 503 No\r\n\r\n"), "status 503: no key set"),
        (saying(b""), "RemoteDisconnected|reset"),
        (saying(OK % (4, b"\xff\xfe\xfd\xfc")), "can't decode"),
    ],
)
def test_what_is_no_answer_is_told_without_a_word_of_it(script: Script, why: str) -> None:
    with answering(script) as (host, _), pytest.raises(OSError, match=why) as caught:
        fetch(f"http://{host}/keys")
    assert "\x1b" not in str(caught.value)
    assert "forged" not in str(caught.value)


def dripping(head: bytes) -> Script:
    """A byte now and then, for ever."""

    def drip(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.sendall(head)
            while True:
                connection.sendall(b"a")
                time.sleep(0.02)

    return drip


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"], ids=repr)
def test_whoever_drips_is_left(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT_SECONDS", 0.3)
    with (
        answering(dripping(head)) as (host, _),
        pytest.raises(TimeoutError, match=r"no whole answer within 0\.3 seconds"),
    ):
        fetch(f"http://{host}/keys")


def test_whoever_never_ends_a_handshake_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT_SECONDS", 0.3)
    record = b"\x16\x03\x03\x40\x00"  # a handshake message of 16 kB, of which the bytes drip
    with answering(dripping(record)) as (host, _), pytest.raises(TimeoutError):
        fetch(f"https://{host}/keys")


async def test_what_is_compressed_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    monkeypatch.setattr("lookalike_serving.security.keys._RETRY_SECONDS", 0)
    with answering(saying(head + bomb)) as (host, asked), logged("lookalike_serving.security.keys") as records:
        assert await UrlSource(f"http://{host}/keys").keys() is None
        assert b"accept-encoding: identity" in asked[0].lower()
    assert [record.levelname for record in records] == ["ERROR"]


def test_over_tls_only_an_authority_that_this_machine_believes_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, foreign = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(tmp_path / "ours.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ours.pem"))
    for authority, name, believed in (
        (ours, "127.0.0.1", True),
        (foreign, "127.0.0.1", False),
        (ours, "elsewhere", False),
    ):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        with answering(saying(keys()), tls=context) as (host, asked):
            if believed:
                assert '"kid": "first"' in fetch(f"https://{host}/keys")
            else:
                with pytest.raises(OSError, match="certificate verify failed"):
                    fetch(f"https://{host}/keys")
            assert bool(asked) is believed


def test_a_proxy_of_the_environment_is_asked_for_the_host_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(saying(b"HTTP/1.1 403 No\r\n\r\n")) as (proxy, asked):
        monkeypatch.setenv("https_proxy", f"http://me:s%20cret@{proxy}")
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(OSError, match="403"):
            fetch("https://login.example/keys")
    assert asked[0].startswith(b"CONNECT login.example:443 ")
    assert b"Basic bWU6cyBjcmV0" in asked[0]
    assert b"/keys" not in asked[0]


@pytest.mark.parametrize("url", ["https:///keys", "https://login.example:99999/", "https://login.example:0/"])
def test_a_url_without_a_host_or_with_no_port_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(InvalidSecurity, match="must name a host"):
        UrlSource(url)
