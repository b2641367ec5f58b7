"""Images are fetched through the proxy that the environment names, and no proxy leads to private addresses."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
import trustme
from aiohttp import web

from lookalike import Item
from lookalike._concurrency.budget import Budget, Room
from lookalike.errors import LookalikeError
from lookalike.fetch import Fetcher, Settings
from lookalike.records import Origin
from lookalike.sources import Sources

PUBLIC = Origin("https://feeds.example/shop.csv")


@pytest.fixture
async def asked(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """The URLs that a proxy on this machine is asked for; HTTP_PROXY names it."""
    urls: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        urls.append(request.raw_path)
        if request.path.endswith(".csv"):
            return web.Response(body=b"uri\nhttp://images.invalid/a.jpg\n")
        return web.Response(body=b"an image")

    server = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{server.addresses[0][1]}")
    yield urls
    await server.cleanup()


@pytest.fixture
async def tunnelled(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """The places that HTTPS_PROXY is to connect to: the host `images.invalid`, which only it knows, and no other."""
    authority, places = trustme.CA(), list[str]()
    believing, served = ssl.create_default_context(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.configure_trust(believing)
    authority.issue_cert("images.invalid").configure_cert(served)
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", believing)

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(body=f"{request.scheme} {request.raw_path}".encode())

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, place, _ = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ", 2)
        places.append(f"{method} {place}")
        if place.startswith("images.invalid:"):
            there = await asyncio.open_connection(*host.addresses[0][:2])
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer))
        else:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            writer.close()

    host = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await host.setup()
    await web.TCPSite(host, "127.0.0.1", 0, ssl_context=served).start()
    async with await asyncio.start_server(connect, "127.0.0.1", 0) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        yield places
    await host.cleanup()


@pytest.mark.parametrize("origin", [None, PUBLIC])
async def test_https_goes_through_a_tunnel_and_is_read_by_nobody_on_the_way(
    tunnelled: list[str], origin: Origin | None
) -> None:
    assert await fetched("https://images.invalid/a%2Fb+c.jpg?x=%7e", origin) == b"https /a%2Fb+c.jpg?x=%7e"
    assert tunnelled == ["CONNECT images.invalid:443"]
    with pytest.raises(LookalikeError) as caught:
        await fetched("https://127.0.0.1/a.jpg", PUBLIC)
    assert caught.value.reason == "ADDRESS_REFUSED"
    assert len(tunnelled) == 1


async def test_a_proxy_that_does_not_lead_to_a_host_is_a_failure_which_says_so(tunnelled: list[str]) -> None:
    with pytest.raises(LookalikeError) as caught:
        await fetched("https://other.invalid/a.jpg")
    assert (caught.value.reason, tunnelled) == ("PROXY_403", ["CONNECT other.invalid:443"])
    assert str(caught.value) == "https://other.invalid/a.jpg: the proxy answered 403"


async def fetched(uri: str, origin: Origin | None = None) -> bytes:
    async with Fetcher(Settings(attempts=1)) as fetcher:
        found = await fetcher.fetch(Item(None, uri, origin=origin), "", Room(Budget(None, 1 << 30)))
    return found.data if found else b""


@pytest.mark.parametrize("origin", [None, PUBLIC])
async def test_the_proxy_is_asked_for_the_url_byte_for_byte(asked: list[str], origin: Origin | None) -> None:
    """Its host has a name that only the proxy knows."""
    assert await fetched("http://images.invalid/a%2Fb+c.jpg?x=%7e", origin) == b"an image"
    assert asked == ["http://images.invalid/a%2Fb+c.jpg?x=%7e"]


async def test_hosts_of_no_proxy_are_reached_directly(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "elsewhere.example,.invalid")
    with pytest.raises(LookalikeError):
        await fetched("http://images.invalid/a.jpg")
    assert asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "localhost", "[::1]"])
async def test_a_foreign_manifest_reaches_no_private_address_by_way_of_the_proxy(asked: list[str], host: str) -> None:
    with pytest.raises(LookalikeError) as caught:
        await fetched(f"http://{host}/a.jpg", PUBLIC)
    assert caught.value.reason == "ADDRESS_REFUSED"
    assert asked == []


async def test_a_foreign_manifest_does_not_reach_the_proxy_itself(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert await fetched("http://images.invalid/a.jpg", PUBLIC) == b"an image"
    with pytest.raises(LookalikeError):
        await fetched(f"http://{os.environ['HTTP_PROXY']}/a.jpg", PUBLIC)
    assert len(asked) == 1


async def test_a_manifest_is_read_through_the_proxy(asked: list[str]) -> None:
    items = await asyncio.to_thread(lambda: list(Sources(["http://feeds.invalid/shop.csv"]).items()))
    assert [item.uri for item in items] == ["http://images.invalid/a.jpg"]
    assert set(asked) == {"http://feeds.invalid/shop.csv"}
