"""What the gateway does not let in: large, slow, wrong and too many bodies, strange hosts; what browsers are told."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from lookalike import Client
from lookalike_gateway.config import Config
from lookalike_gateway.server import serving
from tests.pictures import jpeg

JPEG = {"content-type": "image/jpeg"}
MOST = 4000


@pytest.fixture(scope="module")
async def config(quick_client: Client) -> Config:
    embedder, searcher = quick_client._servers._addresses.values()
    return Config(
        embedder=embedder,
        searcher=searcher,
        port=0,
        cors_origins=("https://shop.example",),
        max_upload_bytes=MOST,
        max_uploads=2,
        body_timeout=2,
        grace=5,
    )


@pytest.fixture(scope="module")
async def url(config: Config) -> AsyncIterator[str]:
    async with serving(config) as url:
        yield url


@pytest.fixture
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
async def path(quick_client: Client) -> AsyncIterator[str]:
    name = f"http-{uuid.uuid4().hex[:12]}"
    await quick_client.create_project(name)
    yield f"/v1/projects/{name}/image-search"
    await quick_client.delete_project(name)


def reason(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["reason"]


async def in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_a_body_that_says_or_proves_to_be_too_large_is_refused(http: httpx.AsyncClient, path: str) -> None:
    said = await http.post(path, content=bytes(MOST + 1), headers=JPEG)
    assert reason(said) == (413, "BODY_TOO_LARGE")
    proved = await http.post(path, content=in_pieces(bytes(MOST), b"x"), headers=JPEG)
    assert reason(proved) == (413, "BODY_TOO_LARGE")
    form = await http.post(path, files={"image": bytes(MOST + 1)})
    assert reason(form) == (413, "BODY_TOO_LARGE")
    large_form = await http.post(path, files={"image": bytes(200_000)})
    assert reason(large_form) == (413, "BODY_TOO_LARGE")
    fits = jpeg() + bytes(MOST - len(jpeg()))
    for body in (fits, in_pieces(fits)):
        assert (await http.post(path, content=body, headers=JPEG)).status_code == 200
    assert (await http.post(path, files={"image": fits})).status_code == 200


async def talk(url: str, *lines: bytes) -> bytes:
    """All that the gateway says to somebody who sends this and then waits."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.writelines(lines)
        async with asyncio.timeout(120):
            return await reader.read()
    finally:
        writer.close()


async def test_a_body_that_is_much_too_large_or_not_sent_yet_is_not_even_received(url: str, path: str) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n%s\r\n"
    for length, expect in ((5 * MOST, b""), (MOST + 1, b"Expect: 100-continue\r\n")):
        heard = await talk(url, head % (path.encode(), length, expect))
        assert heard.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("kind", [b"image/jpeg", b"multipart/form-data; boundary=some"])
async def test_a_body_that_does_not_come_is_not_waited_for(url: str, path: str, kind: bytes) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: 100\r\n\r\n--some"
    heard = await talk(url, head % (path.encode(), kind))
    assert heard.startswith(b"HTTP/1.1 408 ")
    assert b"BODY_TOO_SLOW" in heard


async def test_wrong_types_and_forms_without_a_photo_are_refused(http: httpx.AsyncClient, path: str) -> None:
    for kind in ("text/plain", "application/json", "imagejpeg", ""):
        headers = {"content-type": kind} if kind else {}
        assert reason(await http.post(path, content=jpeg(), headers=headers)) == (415, "UNSUPPORTED_MEDIA_TYPE")
    form = await http.post(path, data={"image": "text"}, files={})
    assert reason(form) == (415, "UNSUPPORTED_MEDIA_TYPE")
    kind = "multipart/form-data; boundary=x"
    for body in (
        b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\ntext\r\n--x--\r\n',
        b"--x--\r\n",
        b"nonsense",
    ):
        answer = await http.post(path, content=body, headers={"content-type": kind})
        assert reason(answer) == (400, "INVALID_BODY")
    several = await http.post(path, files=[("image", jpeg()), ("image", jpeg())])
    assert reason(several) == (400, "INVALID_BODY")
    bare = await http.post(path, content=b"x", headers={"content-type": "multipart/form-data"})
    assert reason(bare) == (400, "INVALID_BODY")


async def test_more_photos_than_may_be_embedded_at_once_are_sent_away(
    path: str, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, really = asyncio.Event(), Client.embed

    async def slowly(self: Client, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        await go_on.wait()
        return await really(self, *arguments, **named)

    monkeypatch.setattr(Client, "embed", slowly)
    asked = [asyncio.create_task(http.post(path, content=jpeg(), headers=JPEG)) for _ in range(3)]
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    [answer] = [task.result() for task in done]
    assert reason(answer) == (503, "TOO_MANY_UPLOADS")
    assert answer.headers["retry-after"] == "1"
    go_on.set()
    assert sorted([answer.status_code for answer in await asyncio.gather(*asked)]) == [200, 200, 503]
    assert (await http.post(path, content=jpeg(), headers=JPEG)).status_code == 200


@pytest.mark.parametrize("kind", [b"image/jpeg", b"multipart/form-data; boundary=x"])
async def test_bodies_that_do_not_come_keep_nobody_out(
    url: str, path: str, http: httpx.AsyncClient, kind: bytes
) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: 100\r\n\r\n--x"
    slow = [asyncio.create_task(talk(url, head % (path.encode(), kind))) for _ in range(20)]
    while not all(task.done() for task in slow):
        assert (await http.post(path, content=jpeg(), headers=JPEG)).status_code == 200
    assert all(b"BODY_TOO_SLOW" in heard for heard in await asyncio.gather(*slow))


async def test_bodies_that_stop_are_bounded_in_all_and_the_oldest_goes(config: Config, path: str) -> None:
    """However many hold all but their last byte: others are received, and the memory is bounded."""
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    stopped = head % (path.encode(), MOST) + bytes(MOST - 1)
    async with serving(replace(config, body_timeout=60)) as url, httpx.AsyncClient(base_url=url, timeout=60) as http:
        slow = [asyncio.create_task(talk(url, stopped)) for _ in range(60)]  # in all, some more than there is room for
        evicted, waiting = await asyncio.wait(slow, return_when=asyncio.FIRST_COMPLETED)
        assert all(b"TOO_MANY_UPLOADS" in task.result() for task in evicted)
        for _ in range(3):
            assert (await http.post(path, content=jpeg(), headers=JPEG)).status_code == 200
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


async def test_a_client_that_goes_away_in_its_body_leaves_no_trace(
    url: str, path: str, http: httpx.AsyncClient
) -> None:
    parts = urlsplit(url)
    for _ in range(4):
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(
            b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\n"
            % path.encode()
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    while (answer := await http.post(path, content=jpeg(), headers=JPEG)).status_code == 503:
        pass
    assert answer.status_code == 200


async def test_only_this_machines_names_are_served_on_loopback(http: httpx.AsyncClient, config: Config) -> None:
    """A page of a site whose name was made to point here cannot read what is here."""
    for host in ("rebound.example", "rebound.example:8080", "localhost.rebound.example"):
        answer = await http.get("/v1/projects", headers={"host": host})
        assert reason(answer) == (421, "HOST_NOT_ALLOWED")
    for host in ("localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080"):
        assert (await http.get("/healthz", headers={"host": host})).status_code == 200
    open_host = replace(config, host="0.0.0.0")  # noqa: S104
    async with serving(open_host) as url, httpx.AsyncClient(base_url=url, timeout=60) as open_to_all:
        assert (await open_to_all.get("/healthz", headers={"host": "shop.example"})).status_code == 200


async def test_other_origins_are_let_in_by_name_alone(http: httpx.AsyncClient, path: str, config: Config) -> None:
    asks = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    allowed = await http.options(path, headers=asks)
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
    answer = await http.post(path, content=b"", headers={**JPEG, "origin": "https://shop.example"})
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert {"x-request-id", "retry-after"} <= set(answer.headers["access-control-expose-headers"].split(", "))
    other = await http.get("/v1/projects", headers={"origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers
    async with serving(replace(config, cors_origins=())) as url, httpx.AsyncClient(base_url=url, timeout=60) as closed:
        headers = (await closed.get("/v1/projects", headers={"origin": "https://shop.example"})).headers
        assert not [name for name in headers if name.startswith("access-control")]


async def test_browsers_are_told_to_be_careful(http: httpx.AsyncClient) -> None:
    for place in ("/", "/docs", "/assets/app.js", "/v1/projects", "/nowhere"):
        headers = (await http.get(place)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


async def test_the_page_is_sent_again_only_when_it_has_changed(http: httpx.AsyncClient) -> None:
    for place in ("/", "/assets/app.js", "/assets/style.css", "/docs", "/openapi.json"):
        first = await http.get(place)
        assert first.status_code == 200
        again = await http.get(place, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_a_failure_of_our_own_says_nothing_of_its_cause(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the secret cause")

    monkeypatch.setattr(Client, "project_page", broken)
    answer = await http.get("/v1/projects")
    assert reason(answer) == (500, "INTERNAL")
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_requests_in_flight_end_before_the_server_does(config: Config, path: str) -> None:
    body_comes = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield jpeg()[:100]
        await body_comes.wait()
        yield jpeg()[100:]

    patient = replace(config, body_timeout=30)
    async with httpx.AsyncClient(timeout=60) as client:
        async with serving(patient) as url:
            sent = asyncio.create_task(client.post(url + path, content=slowly(), headers=JPEG))
            while (await client.get(f"{url}/healthz")).status_code != 200:
                pass
            asyncio.get_running_loop().call_later(0.2, body_comes.set)  # when the end has begun
        assert (await sent).status_code == 200
