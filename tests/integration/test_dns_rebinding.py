"""A name that changes its mind, live: a real name server whose second answer is this machine, and nothing gets there.

No packet leaves the machine: where a connection is about to go to the public address, it goes to the test's own server.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import fsspec.asyn
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from dnslib import QTYPE, RR, A, DNSRecord
from dnslib.server import DNSLogger, DNSServer

from lookalike import InvalidRequestError, Item
from lookalike._concurrency.budget import Budget, Room
from lookalike.errors import LookalikeError
from lookalike.fetch import Fetcher, Settings, connector
from lookalike.records import Origin
from lookalike.sources import Sources

PUBLIC, HERE = "93.184.215.14", "127.0.0.1"
NAME = "shop.example"
IMAGE = b"an image"


@dataclass
class Names:
    """A name server: it gives these answers one after the other, the last one again and again."""

    answers: list[str] = field(default_factory=lambda: [PUBLIC, HERE])
    port: int = 0
    asked: int = 0

    def resolve(self, request: DNSRecord, handler: object) -> DNSRecord:
        reply = request.reply()
        address = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(address), ttl=0))
        return reply


class Resolver(AbstractResolver):
    """Asks that name server, over UDP."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = await asyncio.to_thread(DNSRecord.question(host).send, HERE, self._port, timeout=20)
        return [
            ResolveResult(hostname=host, host=str(one.rdata), port=port, family=socket.AF_INET, proto=0, flags=0)
            for one in DNSRecord.parse(answer).rr
        ]

    async def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """The name server, which aiohttp asks anew for each connection."""
    names = Names()
    server = DNSServer(names, address=HERE, port=0, logger=DNSLogger("-request,-reply"))
    server.start_thread()
    names.port = server.server.server_address[1]
    monkeypatch.setattr("aiohttp.ThreadedResolver", lambda: Resolver(names.port))
    monkeypatch.setattr(connector, "NAMES_KEPT_SECONDS", 0)
    yield names
    server.stop()
    server.server.server_close()


@pytest.fixture
async def went(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where connections go, of our event loop and of fsspec's."""
    went: list[str] = []

    def watch(loop: asyncio.AbstractEventLoop) -> None:
        connect = loop.sock_connect

        async def connected(sock: socket.socket, address: tuple[Any, ...]) -> None:
            went.append(address[0])
            assert address[0] in (PUBLIC, HERE)
            await connect(sock, (HERE if address[0] == PUBLIC else address[0], *address[1:]))

        monkeypatch.setattr(loop, "sock_connect", connected)

    watch(asyncio.get_running_loop())
    watch(fsspec.asyn.get_loop())
    return went


@dataclass
class Site:
    """A web server whose connections serve one request each."""

    port: int = 0
    answers: dict[str, Callable[[], web.Response]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def url(self, path: str, host: str = NAME) -> str:
        return f"http://{host}:{self.port}{path}"

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(request.path)
        response = self.answers.get(request.path, lambda: web.Response(body=IMAGE))()
        response.force_close()
        return response


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    server = web.ServerRunner(web.Server(site.handle), shutdown_timeout=0.1)
    await server.setup()
    try:
        await web.TCPSite(server, HERE, 0).start()
        site.port = server.addresses[0][1]
        yield site
    finally:
        await server.cleanup()


def room() -> Room:
    return Room(Budget(None, 1 << 30))


async def reason(fetcher: Fetcher, uri: str, origin: Origin | None = None) -> str:
    with pytest.raises(LookalikeError) as caught:
        await fetcher.fetch(Item(None, uri, origin=origin), "", room())
    assert "this machine, RFC 1122" in str(caught.value)
    return caught.value.reason


async def test_a_redirect_to_the_same_host_does_not_follow_it_to_this_machine(
    names: Names, went: list[str], site: Site
) -> None:
    site.answers["/1.jpg"] = lambda: web.Response(status=302, headers={"Location": "/secret"})
    async with Fetcher(Settings()) as fetcher:
        assert await reason(fetcher, site.url("/1.jpg")) == "REDIRECT_REFUSED"
    assert (names.asked, went, site.asked) == (2, [PUBLIC], ["/1.jpg"])


async def test_a_second_try_does_not_either(names: Names, went: list[str], site: Site) -> None:
    site.answers["/1.jpg"] = lambda: web.Response(status=503)
    async with Fetcher(Settings(attempts=2)) as fetcher:
        assert await reason(fetcher, site.url("/1.jpg")) == "ADDRESS_REFUSED"
    assert (names.asked, went, site.asked) == (2, [PUBLIC], ["/1.jpg"])


async def test_a_second_image_of_the_host_does_not_either(names: Names, went: list[str], site: Site) -> None:
    """Nor does what the project knows already, and the host is asked after."""
    async with Fetcher(Settings(trust_manifests=True)) as fetcher:
        assert await fetcher.fetch(Item(None, site.url("/1.jpg")), "", room())
        assert await reason(fetcher, site.url("/2.jpg")) == "ADDRESS_REFUSED"
        with pytest.raises(LookalikeError, match="not a public address"):
            await fetcher.fetch(Item(None, site.url("/1.jpg")), 'etag "v1"', None)
    assert (went, site.asked) == ([PUBLIC], ["/1.jpg"])


async def test_a_name_that_was_of_this_machine_from_the_first_is_what_the_manifest_says(
    names: Names, went: list[str], site: Site
) -> None:
    """An intranet's hosts are reached; but such a name does not turn to another network of its own."""
    names.answers = [HERE, HERE, "169.254.169.254"]
    async with Fetcher(Settings()) as fetcher:
        for path in ("/1.jpg", "/2.jpg"):
            assert await fetcher.fetch(Item(None, site.url(path)), "", room())
        with pytest.raises(LookalikeError, match="clouds keep their metadata there"):
            await fetcher.fetch(Item(None, site.url("/3.jpg")), "", room())
    assert went == [HERE, HERE]


async def test_a_manifests_own_host_does_not_change_its_mind_between_two_requests(
    names: Names, went: list[str], site: Site
) -> None:
    """The manifest is read by several: the second one would be sent here."""
    with pytest.raises(InvalidRequestError, match="not a public address"):
        await asyncio.to_thread(list, Sources([site.url("/list.csv")]).items())
    assert (went, site.asked) == ([PUBLIC], ["/list.csv"])


@pytest.mark.parametrize("host", ["localhost", HERE, "[::1]", "[::ffff:127.0.0.1]"])
async def test_a_manifest_is_not_redirected_to_this_machine(
    went: list[str], site: Site, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By any other name than its own."""
    site.answers["/list.csv"] = lambda: web.Response(status=302, headers={"Location": site.url("/secret", host)})
    monkeypatch.setattr("aiohttp.ThreadedResolver", lambda: Fixed({NAME: PUBLIC, "localhost": HERE}))
    with pytest.raises(InvalidRequestError, match="not a public address"):
        await asyncio.to_thread(list, Sources([site.url("/list.csv")]).items())
    assert set(site.asked) == {"/list.csv"}


class Fixed(Resolver):
    """Knows these names."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self._names[host.removesuffix(".")]
        return [ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)]


async def items_of(url: str) -> list[Item]:
    return await asyncio.to_thread(list, Sources([url]).items())


async def test_a_public_manifest_names_no_private_address(
    went: list[str], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whatever way it is spelled; that of an intranet does, and so does one that is trusted."""
    monkeypatch.setattr("aiohttp.ThreadedResolver", lambda: Fixed({NAME: PUBLIC, "localhost": HERE, "intranet": HERE}))
    refused = {"localhost", "localhost.", HERE, "[::ffff:127.0.0.1]", "intranet"}
    odd = {"127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.0.1."}
    hosts = [*sorted(refused), *sorted(odd), "\uff11\uff12\uff17.0.0.1"]
    rows = "\n".join(["uri", *(site.url("/1.jpg", host) for host in hosts), "public.jpg"])
    site.answers["/list.csv"] = lambda: web.Response(text=rows)
    items = await items_of(site.url("/list.csv"))
    assert items[0].origin == Origin(site.url("/list.csv"), private=False)
    site.asked.clear()
    async with Fetcher(Settings(private_redirects=False)) as fetcher:
        for host, item in zip(hosts, items[:-1], strict=True):
            with pytest.raises(LookalikeError) as caught:
                await fetcher.fetch(item, "", room())
            assert caught.value.reason == ("INVALID_URI" if host in odd else "ADDRESS_REFUSED"), host
        assert not site.asked
        assert await fetcher.fetch(items[-1], "", room())
    [own] = [item for item in await items_of(site.url("/list.csv", "intranet")) if "//localhost:" in item.uri]
    assert own.origin
    assert own.origin.private
    async with Fetcher(Settings()) as fetcher:
        assert await fetcher.fetch(own, "", room())
    async with Fetcher(Settings(trust_manifests=True)) as fetcher:
        assert await fetcher.fetch(items[sorted(refused).index("localhost")], "", room())


async def test_a_manifest_on_this_machines_own_server_names_no_files(site: Site) -> None:
    rows = '{"uri": "file:///etc/passwd"}\n{"uri": "simplecache::file:///etc/passwd"}\n{"uri": "1.jpg"}\n'
    site.answers["/list.jsonl"] = lambda: web.Response(text=rows)
    items = await items_of(site.url("/list.jsonl", HERE))
    async with Fetcher(Settings()) as fetcher:
        for item in items[:2]:
            with pytest.raises(LookalikeError) as caught:
                await fetcher.fetch(item, "", room())
            assert caught.value.reason == "URI_REFUSED"
        assert await fetcher.fetch(items[2], "", room())
