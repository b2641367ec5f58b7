"""Fetching from a real web server: conditions, failures, sizes, redirects, and how much is asked at once."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path

import fsspec
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from lookalike import Item
from lookalike._concurrency.budget import Budget, Room
from lookalike.errors import LookalikeError
from lookalike.fetch import Failed, Fetched, Fetcher, Settings, TransientFailure
from lookalike.fetch.address import PrivateAddress, PublicResolver, check
from lookalike.fetch.web import Web
from tests.polling import until

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LIMIT = 1_000_000
IMAGE = b"an image" * 100


class Site:
    """A web server whose paths do what a test says."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.asked: list[web.Request] = []
        self.port = 0
        self.over = asyncio.Event()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def answers(self, path: str, *answers: web.Response | Handler) -> str:
        """The path's URL, which gives these answers one after the other; the last one again and again."""
        left = list(answers)

        async def handle(request: web.Request) -> web.StreamResponse:
            answer = left.pop(0) if len(left) > 1 else left[0]
            return _copy(answer) if isinstance(answer, web.Response) else await answer(request)

        self.handlers[path] = handle
        return self.url(path)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        handler = self.handlers.get(request.path)
        return await handler(request) if handler else web.Response(status=404)


def _copy(answer: web.Response) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    server = web.ServerRunner(web.Server(site.handle), shutdown_timeout=0.1)
    await server.setup()
    try:
        await web.TCPSite(server, "127.0.0.1", 0).start()
        site.port = server.addresses[0][1]
        yield site
    finally:
        site.over.set()
        await server.cleanup()


@asynccontextmanager
async def fetching(**settings: object) -> AsyncIterator[Callable[..., Awaitable[Fetched | None]]]:
    """Fetches URIs, with the settings, and a lot of room."""
    async with Fetcher(Settings(**{"max_bytes": LIMIT, "attempts": 1, **settings})) as fetcher:

        async def fetch(uri: str, stamp: str = "") -> Fetched | None:
            return await fetcher.fetch(Item(None, uri), stamp, Room(Budget(None, 100 * LIMIT)))

        yield fetch


async def reason(fetched: Awaitable[Fetched | None], kind: type[LookalikeError]) -> str:
    """Why the fetch failed."""
    with pytest.raises(LookalikeError) as caught:
        await fetched
    assert type(caught.value) is kind, caught.value
    return caught.value.reason


@pytest.mark.parametrize(
    ("mark", "asked"), [({"ETag": '"v1"'}, "If-None-Match"), ({"Last-Modified": formatdate(0)}, "If-Modified-Since")]
)
async def test_an_image_that_has_not_changed_is_not_sent_again(site: Site, mark: dict[str, str], asked: str) -> None:
    """And the connection stays for the next one."""
    url = site.answers("/1.jpg", web.Response(body=IMAGE, headers=mark), web.Response(status=304))
    async with fetching() as fetch:
        first = await fetch(url)
        assert first
        assert first.data == IMAGE
        assert await fetch(url, first.stamp) is None
        assert await fetch(url, first.stamp) is None
    assert [request.headers.get(asked) for request in site.asked] == [None, *[next(iter(mark.values()))] * 2]


async def test_a_connection_serves_many_conditional_requests(site: Site) -> None:
    peers = set()

    async def handle(request: web.Request) -> web.Response:
        assert request.transport
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(status=304)

    url = site.answers("/1.jpg", handle)
    async with fetching() as fetch:
        for _ in range(5):
            assert await fetch(url, 'etag "v1"') is None
    assert len(peers) == 1


async def test_a_host_that_ignores_conditions_is_believed_by_its_etag(site: Site) -> None:
    url = site.answers("/1.jpg", web.Response(body=IMAGE, headers={"ETag": '"v1"'}))
    async with fetching() as fetch:
        assert await fetch(url, 'etag "v1"') is None
        changed = await fetch(url, 'etag "v0"')
    assert changed == Fetched(IMAGE, 'etag "v1"')


async def test_what_says_nothing_of_its_version_has_no_stamp(site: Site) -> None:
    long = {"ETag": f'"{"x" * 300}"'}
    plain, unkept = site.answers("/1.jpg", web.Response(body=IMAGE)), site.answers("/2.jpg", web.Response(headers=long))
    async with fetching() as fetch:
        assert await fetch(plain) == Fetched(IMAGE, "")
        assert await fetch(unkept) == Fetched(b"", "")


@pytest.mark.parametrize("status", [204, 304, 401, 403, 404, 410, 501])
async def test_what_the_host_refuses_is_not_asked_for_again(site: Site, status: int) -> None:
    url = site.answers("/1.jpg", web.Response(status=status))
    async with fetching(attempts=3) as fetch:
        assert await reason(fetch(url), Failed) == f"HTTP_{status}"
    assert len(site.asked) == 1


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_what_fails_for_a_moment_is_asked_for_again(site: Site, status: int) -> None:
    url = site.answers("/1.jpg", web.Response(status=status), web.Response(body=IMAGE))
    async with fetching(attempts=2) as fetch:
        assert await fetch(url) == Fetched(IMAGE, "")


async def test_a_fetch_is_tried_so_often_and_no_more(site: Site) -> None:
    url = site.answers("/1.jpg", web.Response(status=503))
    async with fetching(attempts=2) as fetch:
        assert await reason(fetch(url), TransientFailure) == "HTTP_503"
    assert len(site.asked) == 2


@pytest.mark.parametrize("wait", ["60", formatdate(4_000_000_000, usegmt=True)])
async def test_a_host_that_says_when_to_come_again_is_left_alone_until_then(site: Site, wait: str) -> None:
    busy = site.answers("/1.jpg", web.Response(status=503, headers={"Retry-After": wait}))
    other = site.answers("/2.jpg", web.Response(body=IMAGE))
    async with Fetcher(Settings(attempts=3)) as fetcher:
        room = Room(Budget(None, LIMIT))
        assert await reason(fetcher.fetch(Item(None, busy), "", room), TransientFailure) == "HTTP_503"
        with pytest.raises(TransientFailure) as caught:
            await fetcher.fetch(Item(None, other), "", room)
        assert (caught.value.reason, caught.value.image_failed) == ("HOST_UNAVAILABLE", False)
        assert 30 < fetcher.seconds_until_up() <= 3600
    assert len(site.asked) == 1


async def test_a_host_that_says_nonsense_about_it_is_asked_again(site: Site) -> None:
    answers = [web.Response(status=503, headers={"Retry-After": wait}) for wait in ("soon", "nan", "-5")]
    url = site.answers("/1.jpg", *answers[:2], web.Response(body=IMAGE))
    async with fetching(attempts=3) as fetch:
        assert await fetch(url) == Fetched(IMAGE, "")


async def test_what_is_not_answered_in_time_may_pass(site: Site) -> None:
    async def stall(_: web.Request) -> web.Response:
        await site.over.wait()
        return web.Response()

    url = site.answers("/1.jpg", stall, web.Response(body=IMAGE))
    async with fetching(timeout=0.2) as fetch:
        assert await reason(fetch(url), TransientFailure) == "TIMEOUT"
        assert await fetch(url) == Fetched(IMAGE, "")


async def test_a_body_that_ends_too_soon_is_no_image(site: Site) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(IMAGE[:10])
        assert request.transport
        request.transport.close()
        return response

    url = site.answers("/1.jpg", break_off, web.Response(body=IMAGE))
    async with fetching() as fetch:
        assert await reason(fetch(url), TransientFailure) == "CONNECTION"
        assert await fetch(url) == Fetched(IMAGE, "")


async def test_nobody_there_may_pass() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        async with fetching() as fetch:
            assert (
                await reason(fetch(f"http://127.0.0.1:{probe.getsockname()[1]}/1.jpg"), TransientFailure)
                == "CONNECTION"
            )


async def test_an_image_that_is_too_large_is_refused_while_it_is_read(site: Site) -> None:
    """Whether it says its size or not; of what has no end, too."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(100_000))

    declared = site.answers("/1.jpg", web.Response(body=bytes(LIMIT + 1)))
    undeclared = site.answers("/2.jpg", endless)
    just = site.answers("/3.jpg", web.Response(body=bytes(LIMIT)))
    async with fetching() as fetch:
        assert await reason(fetch(declared), Failed) == "IMAGE_TOO_LARGE"
        assert await reason(fetch(undeclared), Failed) == "IMAGE_TOO_LARGE"
        found = await fetch(just)
        assert found
        assert len(found.data) == LIMIT


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(site: Site, status: int) -> None:
    site.answers("/2.jpg", web.Response(body=IMAGE, headers={"ETag": '"v1"'}))
    url = site.answers("/1.jpg", web.Response(status=status, headers={"Location": "/2.jpg"}))
    async with fetching() as fetch:
        assert await fetch(url) == Fetched(IMAGE, 'etag "v1"')


async def test_redirects_in_a_circle_are_not_followed_forever(site: Site) -> None:
    url = site.answers("/1.jpg", web.Response(status=302, headers={"Location": "/1.jpg"}))
    async with fetching() as fetch:
        assert await reason(fetch(url), Failed) == "TOO_MANY_REDIRECTS"


@pytest.mark.parametrize("location", ["file:///etc/passwd", "data:image/png;base64,AAAA", "ftp://127.0.0.1/1"])
async def test_redirects_lead_to_web_hosts_only(site: Site, location: str) -> None:
    url = site.answers("/1.jpg", web.Response(status=302, headers={"Location": location}))
    async with fetching(private_redirects=True) as fetch:
        assert await reason(fetch(url), Failed) == "REDIRECT_REFUSED"


@pytest.mark.parametrize(
    "location", ["http://[", "http://h:99999999/", f"http://{'a' * 70}.example/", "http://127.1/", "http://2130706433/"]
)
async def test_a_redirect_to_what_is_no_url_fails_alone(site: Site, location: str) -> None:
    """Nor is what only some take for an address."""
    url = site.answers("/1.jpg", web.Response(status=302, headers={"Location": location}))
    async with fetching(private_redirects=True) as fetch:
        assert await reason(fetch(url), Failed) == "INVALID_URI"


@pytest.mark.parametrize("host", ["localhost", "[::1]", "127.0.0.2", "[::ffff:127.0.0.1]"])
async def test_a_redirect_to_a_private_address_is_refused_whatever_it_is_called(site: Site, host: str) -> None:
    site.answers("/2.jpg", web.Response(body=IMAGE))
    url = site.answers("/1.jpg", web.Response(status=302, headers={"Location": site.url("/2.jpg", host)}))
    async with fetching() as fetch:
        assert await reason(fetch(url), Failed) == "REDIRECT_REFUSED"
    assert len(site.asked) == 1


async def test_a_redirect_to_a_private_address_is_followed_where_that_is_allowed(site: Site) -> None:
    site.answers("/2.jpg", web.Response(body=IMAGE))
    url = site.answers("/1.jpg", web.Response(status=302, headers={"Location": site.url("/2.jpg", "localhost")}))
    async with fetching(private_redirects=True) as fetch:
        assert await fetch(url) == Fetched(IMAGE, "")


async def test_another_port_of_the_same_private_host_is_another_host(site: Site) -> None:
    location = f"http://127.0.0.1:{site.port + 1}/2.jpg"
    url = site.answers("/1.jpg", web.Response(status=302, headers={"Location": location}))
    async with fetching() as fetch:
        assert await reason(fetch(url), Failed) == "REDIRECT_REFUSED"


class _Names(AbstractResolver):
    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=one, port=port, family=family, proto=0, flags=0)
            for one in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize(
    "private",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "::1", "fe80::1%eth0", "fd00::1"],
)
async def test_a_name_is_not_public_if_any_of_its_addresses_is_not(private: str) -> None:
    """The addresses that were checked are those that are connected to: a second answer of the name server is not."""
    with pytest.raises(PrivateAddress):
        await PublicResolver(_Names("93.184.215.14", private)).resolve("shop.example")
    with pytest.raises(PrivateAddress):
        check(private)
    [one] = await PublicResolver(_Names("93.184.215.14")).resolve("shop.example")
    assert one["host"] == "93.184.215.14"


@pytest.mark.parametrize(
    "uri",
    [
        "http://",
        "http:///1.jpg",
        "http://[",
        "http://h:99999/",
        f"http://{'a' * 70}/",
        "1.jpg",
        "/1.jpg",
        "",
        "file://[x",
    ],
)
async def test_what_is_no_uri_fails_alone(uri: str) -> None:
    async with fetching() as fetch:
        assert await reason(fetch(uri), Failed) == "INVALID_URI"


async def test_so_much_is_asked_of_a_host_at_once_and_no_more(site: Site) -> None:
    under_way, most, full = 0, 0, asyncio.Event()

    async def handle(_: web.Request) -> web.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 3:
            full.set()
        await full.wait()
        await asyncio.sleep(0.01)
        under_way -= 1
        return web.Response(body=IMAGE)

    urls = [site.answers(f"/{number}.jpg", handle) for number in range(12)]
    async with fetching(per_host=3) as fetch:
        assert await asyncio.gather(*map(fetch, urls)) == [Fetched(IMAGE, "")] * 12
    assert most == 3


async def test_a_host_that_fails_is_left_alone_and_none_of_its_images_is_blamed(site: Site) -> None:
    urls = [site.answers(f"/{number}.jpg", web.Response(status=503)) for number in range(20)]
    async with Fetcher(Settings(attempts=1, per_host=1)) as fetcher:
        errors = [
            await asyncio.gather(fetcher.fetch(Item(None, url), "", Room(Budget(None, LIMIT))), return_exceptions=True)
            for url in urls
        ]
        passing = [error for [error] in errors if isinstance(error, TransientFailure)]
        assert [error.image_failed for error in passing] == [True, True, *[False] * 18]
        assert fetcher.seconds_until_up() > 0
    assert len(site.asked) == 3


async def test_images_that_always_fail_do_not_make_a_host_look_as_if_it_were_down(site: Site) -> None:
    """It is asked for what it gave before: so they are given up soon, and not when the host's patience is over."""
    good = site.answers("/good.jpg", web.Response(body=IMAGE))
    bad = [site.answers(f"/{number}.jpg", web.Response(status=503)) for number in range(10)]
    async with fetching(per_host=1) as fetch:
        await fetch(good)
        for url in bad:
            with pytest.raises(TransientFailure) as caught:
                await fetch(url)
            assert caught.value.image_failed
        assert await fetch(good) == Fetched(IMAGE, "")


async def test_a_host_that_gave_images_and_goes_down_is_left_alone(site: Site) -> None:
    url = site.answers("/good.jpg", web.Response(body=IMAGE), web.Response(status=502))
    async with fetching() as fetch:
        await fetch(url)
        for _ in range(2):
            assert await reason(fetch(url), TransientFailure) == "HTTP_502"
        with pytest.raises(TransientFailure) as caught:
            await fetch(url)
        assert not caught.value.image_failed
        assert await reason(fetch(url), TransientFailure) == "HOST_UNAVAILABLE"


async def test_an_image_larger_than_its_room_is_read_when_there_is_room_for_it(site: Site) -> None:
    """Nobody holds the host while he waits: it is asked again."""
    large = bytes(3 * LIMIT)
    url = site.answers("/1.jpg", web.Response(body=large))
    budget = Budget(None, 2 * LIMIT)
    other = Room(budget)
    await other.take(LIMIT // 2)
    async with Web(Settings(max_bytes=10 * LIMIT)) as fetcher:
        fetched = asyncio.create_task(fetcher.fetch(url, "", room := Room(budget)))
        await until(lambda: asyncio.sleep(0, site.asked))
        assert not fetched.done()
        other.give_back()
        found = await fetched
    assert found
    assert found.data == large
    assert budget.bytes == room.size == len(large)


async def test_files_of_a_store_are_fetched_by_fsspec() -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/shop/1.jpg", IMAGE)
    store.pipe("/shop/2.jpg", bytes(LIMIT + 1))
    try:
        async with fetching() as fetch:
            found = await fetch("memory://shop/1.jpg")
            assert found
            assert found.data == IMAGE
            assert await reason(fetch("memory://shop/2.jpg"), Failed) == "IMAGE_TOO_LARGE"
            assert await reason(fetch("memory://shop/3.jpg"), Failed) == "UNREADABLE"
            assert await reason(fetch("nothing-of-the-kind://shop/3.jpg"), Failed) == "INVALID_URI"
    finally:
        store.rm("/shop", recursive=True)


async def test_a_store_is_asked_for_what_has_changed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/shop/1.jpg", IMAGE)
    version = 1

    def info(self: object, path: str) -> dict[str, object]:
        del self
        return {"name": path, "size": len(IMAGE), "type": "file", "ETag": f"v{version}"}

    monkeypatch.setattr(type(store), "info", info)
    try:
        async with fetching() as fetch:
            found = await fetch("memory://shop/1.jpg")
            assert found
            assert await fetch("memory://shop/1.jpg", found.stamp) is None
            version = 2
            assert await fetch("memory://shop/1.jpg", found.stamp) is not None
    finally:
        monkeypatch.undo()
        store.rm("/shop", recursive=True)


async def test_bytes_that_are_too_large_are_not_sent() -> None:
    async with Fetcher(Settings(max_bytes=10)) as fetcher:
        assert await reason(fetcher.fetch(Item(bytes(11), "u"), "", None), Failed) == "IMAGE_TOO_LARGE"


async def test_a_file_whose_name_is_no_text_is_read(tmp_path: Path) -> None:
    """Names are bytes; an old catalogue has them in Latin-1."""
    (Path(str(tmp_path)) / b"caf\xe9 #1?.jpg".decode(errors="surrogateescape")).write_bytes(IMAGE)
    async with fetching() as fetch:
        found = await fetch(f"file://{tmp_path}/caf%E9%20%231%3F.jpg")
        assert found
        assert found.data == IMAGE
        assert await fetch(f"file://{tmp_path}/caf%E9%20%231%3F.jpg", found.stamp) is None


async def test_a_signed_url_is_sent_byte_for_byte_after_a_redirect_too(site: Site) -> None:
    signed = "/a%2Fb/~c+d%7e.jpg?X-Signature=a%2Bb%2f&x=y+z/=="
    moved = site.answers("/moved", web.Response(status=302, headers={"Location": signed}))
    async with fetching() as fetch:
        for url in site.url(signed), moved:
            assert await reason(fetch(url), Failed) == "HTTP_404"
    assert [request.raw_path for request in site.asked] == [signed, "/moved", signed]
