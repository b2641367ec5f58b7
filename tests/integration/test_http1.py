"""What an HTTP server of ours lets a stranger have: bytes that are no data, time, and connections."""

import asyncio
import itertools
import resource
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import pytest
import trustme

from lookalike_serving.http1 import server
from lookalike_serving.http1.limits import Limits
from lookalike_serving.listening import listen
from tests.connections import until_gone
from tests.memory import python_memory

QUICK: Final = Limits(message_seconds=0.3, idle_seconds=0.3, linger_seconds=0.3)
PATIENT: Final = Limits(message_seconds=60, idle_seconds=60, linger_seconds=5)
MIB: Final = 1024 * 1024

Message = MutableMapping[str, Any]


class Site:
    """A server, and what its application saw."""

    def __init__(self) -> None:
        self.port = 0
        self.scopes: list[Message] = []
        self.go_on = asyncio.Event()
        self.gone = asyncio.Event()

    async def app(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """`/body` is read before the answer, `/wait` answered when told, `/endless` for ever, all else at once."""
        self.scopes.append(scope)
        size = 0
        if scope["path"] == "/wait":
            await self.go_on.wait()
        if scope["path"] in ("/body", "/wait"):
            while (message := await receive())["type"] == "http.request":
                size += len(message["body"])
                if not message["more_body"]:
                    break
            else:
                return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/endless":
            await self.endless(receive, send)
            return
        await send({"type": "http.response.body", "body": f"got {size}".encode()})

    async def endless(
        self, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Zeros, as long as somebody is there."""

        async def zeros() -> None:
            while True:
                await send({"type": "http.response.body", "body": bytes(MIB), "more_body": True})

        sending = asyncio.create_task(zeros())
        while (await receive())["type"] != "http.disconnect":
            pass
        sending.cancel()
        self.gone.set()

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def talk(self, *pieces: bytes) -> bytes:
        """All that is answered to these, until the server makes an end."""
        reader, writer = await self.open()
        heard = asyncio.create_task(until_gone(reader))
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass
        async with asyncio.timeout(120):
            answer = await heard
        writer.close()
        return answer


@asynccontextmanager
async def site(limits: Limits, certificate: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    made = Site()
    listening = listen("127.0.0.1", 0)
    made.port = listening.getsockname()[1]
    tls = (lambda *_: certificate) if certificate else None
    async with server.serving(made.app, listening, limits, grace=1, lifespan="off", ssl_context_factory=tls):
        yield made


def post(path: str, *lines: str) -> bytes:
    return "\r\n".join((f"POST {path} HTTP/1.1", "Host: localhost", *lines, "", "")).encode()


CHUNKED: Final = post("/body", "Transfer-Encoding: chunked")
FLOODS: Final = {
    "header lines": (b"GET / HTTP/1.1\r\n", b"X-Header: some value\r\n", b"431 ", b"HEAD_TOO_LARGE"),
    "one header": (b"GET / HTTP/1.1\r\nX-Header: ", b"a" * 64, b"431 ", b"HEAD_TOO_LARGE"),
    "the name of a header": (b"GET / HTTP/1.1\r\n", b"a" * 64, b"431 ", b"HEAD_TOO_LARGE"),
    "the URL": (b"GET /", b"a" * 64, b"414 ", b"URL_TOO_LONG"),
    "empty lines": (b"", b"\r\n" * 32, b"431 ", b"HEAD_TOO_LARGE"),
    "trailers": (CHUNKED + b"0\r\n", b"X-Trailer: some value\r\n", b"431 ", b"FRAMING_TOO_LARGE"),
    "one trailer": (CHUNKED + b"0\r\nX-Trailer: ", b"a" * 64, b"431 ", b"FRAMING_TOO_LARGE"),
    "an extension": (CHUNKED + b"1;", b"a" * 64, b"431 ", b"FRAMING_TOO_LARGE"),
    "extensions": (CHUNKED, b"1;" + b"a" * 64 + b"\r\nx\r\n", b"431 ", b"FRAMING_TOO_LARGE"),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_what_is_no_data_is_bounded_as_it_comes(name: str) -> None:
    """Of 32 MiB next to nothing is kept, and not the loop either."""
    begin, more, status, reason = FLOODS[name]
    piece = more * (MIB // len(more))
    async with site(PATIENT) as at:
        with python_memory() as taken:
            heard = await at.talk(begin, *itertools.repeat(piece, 32))
            most = taken()
        assert heard.startswith(b"HTTP/1.1 " + status), heard
        assert reason in heard
        assert b"Connection: close" in heard
        assert most < 8 * MIB
        assert (await at.talk(post("/", "Connection: close"))).endswith(b"got 0\r\n0\r\n\r\n")


@pytest.mark.parametrize("size", [60_000, 65_000])
async def test_a_large_head_and_its_body_in_pieces_are_taken(size: int) -> None:
    async with site(PATIENT) as at:
        head = post("/body", "Connection: close", f"X-Header: {'a' * size}", "Transfer-Encoding: chunked")
        body = b"".join(b"1;a=b\r\nx\r\n" for _ in range(20_000)) + b"0\r\nX-Trailer: y\r\n\r\n"
        assert b"got 20000" in await at.talk(head + body)
        [scope] = at.scopes
        assert b"x-trailer" not in dict(scope["headers"])


async def test_a_head_one_byte_too_large_is_refused() -> None:
    limits = Limits(head_bytes=1000)
    async with site(limits) as at:
        fits = 1000 - len("/") - len("Host: localhost\r\nConnection: close\r\nX: \r\n")
        for size, status in ((fits, b"200"), (fits + 1, b"431")):
            heard = await at.talk(post("/", "Connection: close", f"X: {'a' * size}"))
            assert heard.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("path", ["/", "/body"])
@pytest.mark.parametrize("drip", [b"", b"x"])
async def test_a_body_that_does_not_come_ends_the_connection(path: str, drip: bytes) -> None:
    """However slowly it comes, and whether or not the answer needs it: the whole has a time, not each byte."""
    async with site(QUICK) as at:
        reader, writer = await at.open()
        writer.write(post(path, "Content-Length: 100000"))
        heard = asyncio.create_task(reader.read())
        try:
            while drip and not heard.done():
                writer.write(drip)
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            pass
        async with asyncio.timeout(120):
            answer = await heard
        assert answer.startswith(b"HTTP/1.1 200 " if path == "/" else b"HTTP/1.1 408 "), answer
        assert b"connection: close" in answer.lower()
        writer.close()


async def test_an_answer_before_the_end_of_the_body_is_heard_by_who_still_sends() -> None:
    """Not lost in a reset: what comes is thrown away for a while."""
    async with site(PATIENT) as at:
        heard = await at.talk(post("/", f"Content-Length: {9 * MIB}"), *itertools.repeat(bytes(MIB), 8))
        assert heard.endswith(b"got 0\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("said", "answer"),
    [(b"", b""), (b"\r\n", b""), (b"GET / HTTP/1.1\r\nHost:", b"HTTP/1.1 408 "), (post("/"), b"HTTP/1.1 200 ")],
    ids=["nothing", "an empty line", "half a head", "a request, and no other"],
)
async def test_nobody_keeps_a_connection_without_asking(said: bytes, answer: bytes) -> None:
    async with site(QUICK) as at:
        assert (await at.talk(said)).startswith(answer)


async def test_empty_lines_between_requests_do_not_keep_a_connection() -> None:
    async with site(QUICK) as at:
        reader, writer = await at.open()
        writer.write(post("/"))
        heard = asyncio.create_task(until_gone(reader))
        try:
            while not heard.done():
                writer.write(b"\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            pass
        assert (await heard).count(b"HTTP/1.1 200 ") == 1
        writer.close()


async def test_who_does_not_read_his_answer_is_left() -> None:
    async with site(QUICK) as at:
        _, writer = await at.open()
        writer.transport.pause_reading()
        writer.write(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(120):
            await at.gone.wait()
        writer.close()


async def test_a_slow_answer_is_waited_for_and_requests_behind_it_too() -> None:
    async with site(QUICK) as at:
        reader, writer = await at.open()
        writer.write(post("/wait") + post("/body", "Content-Length: 3")[:-20])
        await asyncio.sleep(3 * QUICK.message_seconds)  # far beyond the time of a request
        at.go_on.set()
        async with asyncio.timeout(120):
            assert b"200 OK" in await reader.readuntil(b"got 0\r\n0\r\n\r\n")
        writer.close()


async def test_requests_are_answered_in_turn_and_only_some_may_wait() -> None:
    async with site(PATIENT) as at:
        few = post("/") * 5 + post("/", "Connection: close")
        assert (await at.talk(few)).count(b"HTTP/1.1 200 ") == 6
        await at.talk(post("/") * 10_000)
        assert len(at.scopes) < 100


async def test_an_upgrade_to_what_we_do_not_speak_is_answered_and_ends() -> None:
    async with site(PATIENT) as at:
        heard = await at.talk(post("/", "Connection: Upgrade", "Upgrade: h2c"))
        assert heard.startswith(b"HTTP/1.1 200 ")


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The answer to a request on a connection that goes on."""
    writer.write(post("/"))
    async with asyncio.timeout(120):
        return await reader.readuntil(b"got 0\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "limits",
    [Limits(connections=20, connections_per_address=0), Limits(connections=100, connections_per_address=20)],
    ids=["in all", "by address"],
)
async def test_connections_beyond_the_bound_are_refused_and_the_silent_ones_go_first(limits: Limits) -> None:
    async with site(limits) as at, AsyncExitStack() as stack:

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await at.open()
            stack.callback(writer.close)
            return reader, writer

        honest = [await connect() for _ in range(10)]
        for one in honest:
            assert b"200 OK" in await asked(*one)
        silent = [await connect() for _ in range(60)]
        for one in honest:
            assert b"200 OK" in await asked(*one)
        newcomers = [await connect() for _ in range(10)]
        for one in newcomers:
            assert b"200 OK" in await asked(*one)
        for reader, _ in silent:
            assert await reader.read() == b""
        async with asyncio.timeout(120):
            assert (await at.talk(post("/"))).startswith(b"HTTP/1.1 503 ")
        honest[0][1].close()
        await honest[0][1].wait_closed()
        while (answer := await at.talk(post("/", "Connection: close"))).startswith(b"HTTP/1.1 503 "):
            pass
        assert answer.startswith(b"HTTP/1.1 200 ")


async def test_there_are_never_more_connections_than_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (40, 4096))
    async with site(Limits(connections_per_address=0)) as at:
        kept = [await at.open() for _ in range(30)]
        for one in kept:
            assert b"200 OK" in await asked(*one)
        assert (await at.talk(post("/"))).startswith(b"HTTP/1.1 503 ")
        for _, writer in kept:
            writer.close()


async def test_connections_are_counted_and_timed_before_tls_has_a_word() -> None:
    authority = trustme.CA()
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    authority.configure_trust(theirs)
    async with site(Limits(message_seconds=20, connections_per_address=5), ours) as at:
        silent = [await at.open() for _ in range(20)]
        kept = [await asyncio.open_connection("127.0.0.1", at.port, ssl=theirs) for _ in range(5)]
        for one in kept:
            assert b"200 OK" in await asked(*one)
        for reader, writer in silent:
            assert await reader.read() == b""
            writer.close()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", at.port, ssl=theirs)
        kept[0][1].write(post("/", "Content-Length: 100"))  # which does not come: the answer is heard all the same
        assert (await kept[0][0].read()).endswith(b"got 0\r\n0\r\n\r\n")
        for _, writer in kept:
            writer.close()
    async with site(QUICK, ours) as at:
        assert await at.talk() == b""
        assert await at.talk(b"\x16\x03\x01") == b""
