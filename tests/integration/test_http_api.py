"""The gateway over real servers: what goes in, what comes out, and what is refused."""

import asyncio
import hashlib
import json
import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest

from lookalike import Client, Item
from lookalike_embedder.config import Config as EmbedderConfig
from lookalike_gateway.config import Config
from lookalike_gateway.metrics import Metrics
from lookalike_gateway.server import serving
from lookalike_serving.server import Server
from tests import colour_embedder
from tests.integration.conftest import address
from tests.pictures import jpeg

RED, ORANGE, YELLOW, BLUE = (jpeg(colour=colour) for colour in ("red", "orange", "yellow", "blue"))
JPEG = {"content-type": "image/jpeg"}


@pytest.fixture(scope="module")
async def colour_client(embedder_config: EmbedderConfig, searcher: Server) -> AsyncIterator[Client]:
    async with (
        colour_embedder.embedder(embedder_config, "h") as embedder,
        Client(address(embedder), address(searcher)) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("photos")


@pytest.fixture(scope="module")
async def shop(colour_client: Client, root: Path) -> AsyncIterator[str]:
    """From red to blue; yellow is a local file."""
    name = f"http-{uuid.uuid4().hex[:12]}"
    (root / "yellow photo.jpg").write_bytes(YELLOW)
    items = [
        Item(RED, "https://shop/red", "bag", labels={"colour": "red", "brand": "x"}),
        Item(ORANGE, "https://shop/orange", "bag", "small", labels={"colour": "orange"}),
        Item(YELLOW, (root / "yellow photo.jpg").as_uri(), "hat", staged=True, labels={"colour": "yellow"}),
        Item(BLUE, "https://elsewhere/blue"),
    ]
    await colour_client.create_project(name)
    for item in items:
        assert [outcome.error async for outcome in colour_client.index(name, [item])] == [None]
    yield name
    await colour_client.delete_project(name)


@pytest.fixture(scope="module")
def config(colour_client: Client, root: Path) -> Config:
    addresses = colour_client._servers._addresses.values()
    embedder, searcher = addresses
    return Config(embedder=embedder, searcher=searcher, port=0, photos_roots=(root,), grace=5)


@pytest.fixture(scope="module")
async def http(config: Config) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(config) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        yield client


def urls(answer: httpx.Response) -> list[str]:
    """The last part of the results' URLs."""
    assert answer.status_code == 200, answer.text
    return [result["imageUrl"].rpartition("/")[2] for result in answer.json()["results"]]


def problem(answer: httpx.Response, status: int, reason: str) -> dict[str, object]:
    """The problem, once it is seen to be one of that kind."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found: dict[str, object] = answer.json()
    assert (answer.status_code, found["status"], found["reason"]) == (status, status, reason), answer.text
    assert found["requestId"] == answer.headers["x-request-id"]
    return found


async def test_a_photo_goes_in_as_body_or_form_and_ranked_products_come_out(http: httpx.AsyncClient, shop: str) -> None:
    path = f"/v1/projects/{shop}/image-search"
    answer = await http.post(path, content=RED, headers=JPEG, params={"limit": 3})
    assert urls(answer) == ["red", "orange", "yellow%20photo.jpg"]
    found = answer.json()
    assert (found["count"], found["offset"], found["total"], found["mode"]) == (3, 0, 4, "exact")
    assert found["timing"]["embedMs"] > 0
    assert found["timing"]["searchMs"] > 0
    first = found["results"][0]
    assert first["match"] == "exact"
    assert first["similarity"] == pytest.approx(1, abs=1e-3)
    assert first["sha256"] == hashlib.sha256(RED).hexdigest()
    assert first["productVariants"] == [{"product": "bag", "variantId": "", "staged": False}]
    assert first["references"][0]["labels"] == {"brand": "x", "colour": "red"}
    [yellow] = [one for one in answer.json()["results"] if one["rank"] == 3]
    assert yellow["productVariants"] == [{"product": "hat", "variantId": "", "staged": True}]
    blue = await http.post(path, content=BLUE, headers=JPEG, params={"limit": 1})
    assert blue.json()["results"][0]["productVariants"] == []
    form = await http.post(path, files={"image": ("red.jpg", RED, "image/jpeg")}, params={"limit": 3})
    assert urls(form) == urls(answer)
    stream = {"content-type": "application/octet-stream"}
    assert urls(await http.post(path, content=RED, headers=stream, params={"limit": 3})) == urls(answer)


async def test_filters_and_groups_say_what_is_ranked(http: httpx.AsyncClient, shop: str) -> None:
    async def found(**given: object) -> list[str]:
        return urls(await http.post(f"/v1/projects/{shop}/image-search", content=RED, headers=JPEG, params=given))

    assert await found(product=["bag"]) == ["red", "orange"]
    assert await found(product=["bag", "hat"], group_by="product") == ["red", "yellow%20photo.jpg"]
    assert await found(variant="small") == ["orange"]
    assert await found(staged="true") == ["yellow%20photo.jpg"]
    assert await found(label=["colour=red", "colour=orange", "brand=x"]) == ["red"]
    assert await found(uri_prefix="https://elsewhere/") == ["blue"]
    assert await found(min_similarity=0.99, exact="true") == ["red"]


async def test_more_like_an_image_of_the_project(http: httpx.AsyncClient, shop: str) -> None:
    path = f"/v1/projects/{shop}/image-search"
    by_uri = await http.get(path, params={"uri": "https://elsewhere/blue", "limit": 1})
    assert urls(by_uri) == ["blue"]
    assert by_uri.json()["timing"]["embedMs"] == 0
    by_hash = await http.get(path, params={"sha256": hashlib.sha256(ORANGE).hexdigest(), "limit": 2})
    assert urls(by_hash)[0] == "orange"
    problem(await http.get(path), 400, "INVALID_PARAMETER")
    problem(await http.get(path, params={"uri": "x", "sha256": "0" * 64}), 400, "INVALID_PARAMETER")
    problem(await http.get(path, params={"uri": "nowhere"}), 404, "IMAGE_NOT_FOUND")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_pages_follow_by_token_without_the_photo_or_by_offset(
    http: httpx.AsyncClient, shop: str, method: str
) -> None:
    path = f"/v1/projects/{shop}/image-search"
    whole = await http.post(path, content=RED, headers=JPEG)
    page = await http.post(path, content=RED, headers=JPEG, params={"limit": 1})
    seen = page.json()["results"]
    while token := page.json()["nextPageToken"]:
        page = await http.request(method, path, params={"limit": 1, "page_token": token})
        assert page.status_code == 200, page.text
        assert page.json()["offset"] == len(seen)
        seen += page.json()["results"]
    assert seen == whole.json()["results"]
    second = await http.post(path, content=RED, headers=JPEG, params={"limit": 1, "offset": 1})
    assert second.json()["results"] == seen[1:2]
    after = await http.request(method, path, params={"limit": 9, "page_token": second.json()["nextPageToken"]})
    assert after.json()["results"] == seen[2:]
    assert urls(await http.post(path, content=RED, headers=JPEG, params={"offset": 7})) == []


async def test_a_page_token_of_another_search_is_refused(http: httpx.AsyncClient, shop: str) -> None:
    path = f"/v1/projects/{shop}/image-search"
    token = (await http.post(path, content=RED, headers=JPEG, params={"limit": 1})).json()["nextPageToken"]
    problem(await http.get(path, params={"page_token": token, "product": "bag"}), 400, "INVALID_FIELD")
    problem(await http.get(path, params={"page_token": token, "offset": 1}), 400, "INVALID_PARAMETER")
    for broken in ("x", "AAAA", "AAAAAA", token[:40], "é", token[:-9]):
        assert (await http.get(path, params={"page_token": broken})).status_code == 400, broken
    deep = {"limit": 1000, "offset": 1}
    problem(await http.post(path, content=RED, headers=JPEG, params=deep), 400, "INVALID_PARAMETER")


async def test_a_parameter_that_breaks_a_rule_or_is_none_is_named(http: httpx.AsyncClient, shop: str) -> None:
    path = f"/v1/projects/{shop}/image-search"
    for given in (
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "ten"},
        {"limit": "1.0"},
        {"limit": " 1"},
        {"limit": "1_0"},
        {"exact": "on"},
        {"limit": ["1", "2"]},
        {"offset": "-1"},
        {"staged": "maybe"},
        {"min_similarity": "nan"},
        {"min_similarity": "2"},
        {"group_by": "colour"},
        {"label": "red"},
        {"product": ["p"] * 101},
        {"lable": "colour=red"},
    ):
        found = problem(await http.post(path, content=RED, headers=JPEG, params=given), 400, "INVALID_PARAMETER")
        assert [violation["field"] for violation in found["violations"]] == list(given)
    problem(await http.get("/v1/projects/No%20name"), 400, "INVALID_PARAMETER")


async def test_errors_of_the_servers_are_problems_with_their_reasons(http: httpx.AsyncClient, shop: str) -> None:
    nowhere = "/v1/projects/nowhere/image-search"
    found = problem(await http.post(nowhere, content=RED, headers=JPEG), 404, "PROJECT_NOT_FOUND")
    assert found["metadata"] == {"project": "nowhere"}
    assert found["title"] == "Not Found"
    path = f"/v1/projects/{shop}/image-search"
    problem(await http.post(path, content=b"", headers=JPEG), 400, "EMPTY_IMAGE")
    problem(await http.post(path, content=b"no photo", headers=JPEG), 415, "UNSUPPORTED_FORMAT")
    problem(await http.post(path, content=RED[:-300], headers=JPEG), 422, "CORRUPT_IMAGE")


async def test_a_request_id_is_passed_through_or_made(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "lookalike_serving.interceptor"):
        given = await http.get("/v1/projects/nowhere", headers={"x-request-id": "abc-1"})
    assert problem(given, 404, "PROJECT_NOT_FOUND")["requestId"] == "abc-1"
    assert [
        vars(record)["request_id"] for record in caplog.records if record.name == "lookalike_serving.interceptor"
    ] == ["abc-1"]
    made = [(await http.get("/healthz")).headers["x-request-id"] for _ in range(2)]
    assert len(set(made)) == 2


async def test_what_is_not_there_is_a_problem_too(http: httpx.AsyncClient) -> None:
    problem(await http.get("/v2"), 404, "PATH_NOT_FOUND")
    wrong = await http.delete("/v1/projects/shop")
    problem(wrong, 405, "METHOD_NOT_ALLOWED")
    assert wrong.headers["allow"] == "GET, HEAD, PATCH"


async def test_head_is_answered_as_get_without_the_body(http: httpx.AsyncClient, shop: str) -> None:
    for path in (f"/v1/projects/{shop}", "/v1/projects/nowhere", "/healthz", "/openapi.json"):
        shown, head = await http.get(path), await http.head(path)
        assert (head.status_code, head.content) == (shown.status_code, b"")
        assert head.headers["content-length"] == shown.headers["content-length"]


async def test_a_project_is_switched_off_and_on(http: httpx.AsyncClient, shop: str, colour_client: Client) -> None:
    path = f"/v1/projects/{shop}"
    off = await http.patch(path, json={"searchEnabled": False})
    assert off.json()["searchEnabled"] is False
    refused = await http.post(f"{path}/image-search", content=RED, headers=JPEG)
    problem(refused, 409, "SEARCH_DISABLED")
    assert (await http.get(f"{path}/images")).status_code == 200
    assert (await colour_client.get_project(shop)).limits.max_hits == 0
    on = await http.patch(path, json={"searchEnabled": True})
    assert on.json()["searchEnabled"] is True
    assert urls(await http.post(f"{path}/image-search", content=RED, headers=JPEG))[0] == "red"


async def test_the_switch_takes_nothing_else(http: httpx.AsyncClient, shop: str) -> None:
    path = f"/v1/projects/{shop}"
    bodies: tuple[object, ...] = ({}, {"searchEnabled": "no"}, {"searchEnabled": False, "name": "x"}, [], 7)
    for body in bodies:
        problem(await http.patch(path, json=body), 400, "INVALID_BODY")
    broken = await http.patch(path, content=b"{", headers={"content-type": "application/json"})
    problem(broken, 400, "INVALID_BODY")
    deep = await http.patch(path, content=b"[" * 16000, headers={"content-type": "application/json"})
    problem(deep, 400, "INVALID_BODY")
    form = await http.patch(path, data={"searchEnabled": "false"})
    problem(form, 415, "UNSUPPORTED_MEDIA_TYPE")
    large = await http.patch(path, content=b" " * 20_000, headers={"content-type": "application/json"})
    problem(large, 413, "BODY_TOO_LARGE")


async def test_projects_tell_what_is_indexed_and_how_far(http: httpx.AsyncClient, shop: str) -> None:
    shown = (await http.get(f"/v1/projects/{shop}")).json()
    assert (shown["imagesIndexed"], shown["references"], shown["searchEnabled"]) == (4, 4, True)
    assert shown["lastIndexedAt"].endswith("Z")
    assert shown["spaces"][0]["index"]["state"] == "none"
    names, token = [], ""
    while True:
        page = (await http.get("/v1/projects", params={"limit": 1} | ({"page_token": token} if token else {}))).json()
        names += [project["name"] for project in page["projects"]]
        if not (token := page["nextPageToken"]):
            break
    assert shop in names
    assert names == sorted(names)


async def test_an_empty_project_was_never_indexed(http: httpx.AsyncClient, colour_client: Client) -> None:
    await colour_client.create_project("http-empty")
    assert (await http.get("/v1/projects/http-empty")).json()["lastIndexedAt"] is None
    assert (await http.get("/v1/projects/http-empty/images")).json() == {"images": [], "nextPageToken": ""}
    await colour_client.delete_project("http-empty")


async def test_images_are_listed_and_shown(http: httpx.AsyncClient, shop: str) -> None:
    path = f"/v1/projects/{shop}/images"
    first = (await http.get(path, params={"limit": 3})).json()
    rest = (await http.get(path, params={"limit": 3, "page_token": first["nextPageToken"]})).json()
    images = first["images"] + rest["images"]
    assert [image["sha256"] for image in images] == [
        hashlib.sha256(data).hexdigest() for data in (RED, ORANGE, YELLOW, BLUE)
    ]
    assert rest["nextPageToken"] == ""
    assert (await http.get(f"{path}/{images[1]['sha256']}")).json() == images[1]
    problem(await http.get(f"{path}/{'0' * 64}"), 404, "IMAGE_NOT_FOUND")
    assert len((await http.get(path, params={"product": "hat"})).json()["images"]) == 1


async def test_duplicates_come_some_at_a_time_or_as_a_stream(http: httpx.AsyncClient, shop: str) -> None:
    path = f"/v1/projects/{shop}/duplicates"
    page = (await http.get(path, params={"min_similarity": 0.5, "limit": 1})).json()
    [cluster] = page["clusters"]
    assert cluster["imageCount"] == len(cluster["images"]) >= 2
    first, second = cluster["images"][:2]
    assert second["nearestSha256"] in {image["sha256"] for image in cluster["images"]}
    assert (first["matchBasis"], first["proof"], cluster["keep"]) == ("cosine", None, "largest")
    assert page["progress"]["pairs"]["byCosine"] >= 1
    token = page["progress"]["resumeToken"]
    rest = (await http.get(path, params={"min_similarity": 0.5, "resume_token": token})).json()
    assert rest["complete"] is True
    assert cluster not in rest["clusters"]
    async with http.stream("GET", f"{path}.ndjson", params={"min_similarity": 0.5}) as stream:
        assert stream.headers["content-type"] == "application/x-ndjson"
        lines = [json.loads(line) async for line in stream.aiter_lines()]
    assert [line["cluster"] for line in lines] == [cluster, *rest["clusters"]]
    problem(await http.get("/v1/projects/nowhere/duplicates.ndjson"), 404, "PROJECT_NOT_FOUND")
    problem(await http.get(path, params={"resume_token": "x"}), 400, "INVALID_FIELD")


async def test_duplicates_are_dismissed_and_merged(http: httpx.AsyncClient, colour_client: Client) -> None:
    shop = f"http-{uuid.uuid4().hex[:12]}"
    await colour_client.create_project(shop)
    items = [Item(RED, "red", "bag"), Item(ORANGE, "orange", "bag"), Item(YELLOW, "yellow", "hat")]
    assert [outcome.error async for outcome in colour_client.index(shop, items)] == [None] * 3
    path = f"/v1/projects/{shop}/duplicates"
    find = {"min_similarity": 0.5, "verify": "false", "keep": "oldest"}
    [cluster] = (await http.get(path, params=find)).json()["clusters"]
    one, *others = (image["sha256"] for image in cluster["images"])
    assert (await http.post(f"{path}/dismissals", json={"images": [one, *others]})).json()["dismissed"] > 0
    assert (await http.get(path, params=find)).json()["clusters"] == []
    listed = (await http.get(f"{path}/dismissals")).json()["dismissals"]
    assert {pair[name] for pair in listed for name in ("sha256", "otherSha256")} == {one, *others}
    taken_back = await http.delete(f"{path}/dismissals", params={"image": [one, *others]})
    assert taken_back.json() == {"deleted": len(listed)}
    body = {"keep": one, "duplicates": others, "dryRun": True}
    would = (await http.post(f"{path}/merge", json=body)).json()
    assert would == {"referencesMoved": len(others), "imagesDeleted": len(others)}
    assert (await http.post(f"{path}/merge", json=body | {"dryRun": False})).json() == would
    [kept] = (await http.get(path, params=find)).json()["clusters"]
    assert (kept["imageCount"], kept["images"][0]["sha256"]) == (1, one), "one file, in several places"
    problem(await http.post(f"{path}/merge", json=body | {"keep": "0" * 64}), 404, "IMAGE_NOT_FOUND")
    problem(await http.post(f"{path}/merge", json=body | {"duplicates": []}), 400, "INVALID_BODY")
    problem(await http.get(path, params={"rest": "true"}), 400, "INVALID_FIELD")
    await colour_client.delete_project(shop)


async def test_health_is_ours_and_theirs(http: httpx.AsyncClient, config: Config) -> None:
    assert (await http.get("/healthz")).json() == {"status": "ok"}
    ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    away = replace(config, embedder="127.0.0.1:1")
    async with serving(away) as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        assert (await client.get("/healthz")).status_code == 200
        ready = await client.get("/readyz")  # much needs no embedder
        assert (ready.status_code, ready.json()) == (200, {"status": "degraded", "embedder": False, "searcher": True})
        gone = await client.post("/v1/projects/shop/image-search", content=RED, headers=JPEG)
        assert gone.status_code == 503
        assert int(gone.headers["retry-after"]) >= 1
    async with serving(replace(config, searcher="127.0.0.1:1")) as url, httpx.AsyncClient(base_url=url) as client:
        unready = await client.get("/readyz")
        expected = {"status": "unavailable", "embedder": True, "searcher": False}
        assert (unready.status_code, unready.json()) == (503, expected)


async def test_requests_are_counted_by_route_and_by_no_path_that_a_caller_makes_up(config: Config) -> None:
    metrics = Metrics()
    async with serving(config, metrics) as url, httpx.AsyncClient(base_url=url) as client:
        await client.get("/v1/projects/nowhere-1/images")
        await client.get("/v1/projects/nowhere-2/images")
        await client.request("PURGE", "/made/up")
    count = partial(metrics.registry.get_sample_value, "lookalike_http_request_seconds_count")
    assert count({"route": "/v1/projects/{project}/images", "method": "GET", "status": "404"}) == 2
    assert count({"route": "none", "method": "other", "status": "404"}) == 1
    assert metrics.registry.get_sample_value("lookalike_http_requests_in_progress") == 0


async def test_a_quota_tells_when_to_come_back(http: httpx.AsyncClient, shop: str, colour_client: Client) -> None:
    from lookalike import Limits

    await colour_client.update_project(shop, limits=Limits(searches_per_second=0.1))
    path = f"/v1/projects/{shop}/image-search"
    answers = [await http.get(path, params={"uri": "https://shop/red"}) for _ in range(3)]
    problem(answers[-1], 429, "SEARCH_QUOTA_EXCEEDED")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
    await colour_client.update_project(shop, limits=Limits())


async def test_thumbnails_are_of_indexed_files_below_the_roots_alone(http: httpx.AsyncClient, shop: str) -> None:
    path = f"/v1/projects/{shop}/images"
    yellow, red = (hashlib.sha256(data).hexdigest() for data in (YELLOW, RED))
    image = (await http.get(f"{path}/{yellow}")).json()
    shown = await http.get(image["thumbnailUrl"], params={"size": 160})
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
    assert shown.content.startswith(b"\xff\xd8")
    assert shown.headers["vary"] == "Authorization"  # one's token does not show what was kept for another's
    again = await http.get(
        image["thumbnailUrl"], params={"size": 160}, headers={"if-none-match": shown.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    remote = (await http.get(f"{path}/{red}")).json()
    assert (await http.get(remote["thumbnailUrl"])).headers["content-type"] == "image/webp"  # its fingerprint's
    problem(await http.get(f"{path}/{'0' * 64}/thumbnail"), 404, "IMAGE_NOT_FOUND")
    problem(await http.get(image["thumbnailUrl"], params={"size": 99}), 400, "INVALID_PARAMETER")
    for attempt in ("../../../../etc/passwd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/etc/passwd"):
        assert (await http.get(f"{path}/{attempt}/thumbnail")).status_code in (400, 404)
        assert (await http.get(f"/assets/{attempt}")).status_code == 404


async def test_no_uri_leads_out_of_the_roots(
    http: httpx.AsyncClient, colour_client: Client, root: Path, tmp_path: Path
) -> None:
    """Whatever was indexed: links, parents, other schemes and hosts, and files that are changed afterwards."""
    outside, changed = tmp_path / "outside.jpg", root / "changed.jpg"
    pictures = {name: jpeg(60 + number) for number, name in enumerate(("outside", "link", "parent", "host", "fifo"))}
    outside.write_bytes(pictures["outside"])
    (tmp_path / "linked.jpg").write_bytes(pictures["link"])
    (root / "link.jpg").symlink_to(tmp_path / "linked.jpg")
    (tmp_path / "parent.jpg").write_bytes(pictures["parent"])
    (root / "host.jpg").write_bytes(pictures["host"])
    os.mkfifo(root / "fifo.jpg")
    changed.write_bytes(jpeg(71))
    uris = {
        "outside": outside.as_uri(),
        "link": (root / "link.jpg").as_uri(),
        "parent": f"{root.as_uri()}/../{tmp_path.name}/parent.jpg",
        "host": (root / "host.jpg").as_uri().replace("file://", "file://elsewhere"),
        "fifo": (root / "fifo.jpg").as_uri(),
    }
    items = [Item(pictures[name], uri) for name, uri in uris.items()] + [Item(jpeg(70), changed.as_uri())]
    await colour_client.create_project("http-files")
    await colour_client.update_project("http-files", fingerprints_enabled=False)  # which have pictures of their own
    assert not [o.error async for o in colour_client.index("http-files", items) if o.error]
    for data in [*pictures.values(), jpeg(70)]:
        path = f"/v1/projects/http-files/images/{hashlib.sha256(data).hexdigest()}/thumbnail"
        async with asyncio.timeout(120):
            problem(await http.get(path), 404, "THUMBNAIL_NOT_FOUND")
    await colour_client.delete_project("http-files")


async def test_urls_are_never_fetched(http: httpx.AsyncClient, colour_client: Client) -> None:
    """A server on this machine that is named by an indexed URI hears nothing, whatever is asked for."""
    asked: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(100))
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        uri = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/secret.jpg"
        await colour_client.create_project("http-ssrf")
        assert not [o.error async for o in colour_client.index("http-ssrf", [Item(RED, uri)]) if o.error]
        path, sha256 = "/v1/projects/http-ssrf", hashlib.sha256(RED).hexdigest()
        for answer in (
            await http.get(f"{path}/images/{sha256}/thumbnail"),
            await http.get(f"{path}/image-search", params={"uri": uri}),
            await http.post(f"{path}/image-search", content=uri, headers=JPEG),
            await http.get(f"{path}/image-search", params={"uri": uri.replace("secret", "other")}),
        ):
            assert answer.status_code in (200, 404, 415), answer.text
        await colour_client.delete_project("http-ssrf")
    assert asked == []


async def test_feedback_goes_from_a_search_into_the_figures(
    http: httpx.AsyncClient, colour_client: Client, shop: str
) -> None:
    before = (await http.get(f"/v1/projects/{shop}/quality")).json()
    answer = (await http.post(f"/v1/projects/{shop}/image-search", content=RED, headers=JPEG)).json()
    first, second = answer["results"][:2]
    body = {
        "searchId": answer["searchId"],
        "querySha256": hashlib.sha256(RED).hexdigest(),
        "verdicts": [
            {"sha256": first["sha256"], "rank": first["rank"], "verdict": "wrong"},
            {"sha256": second["sha256"], "rank": second["rank"], "verdict": "right"},
            {"sha256": second["sha256"], "rank": second["rank"], "verdict": "clicked"},
        ],
    }
    said = [(await http.post(f"/v1/projects/{shop}/feedback", json=body)).json() for _ in range(2)]
    assert said == [{"changed": 3}, {"changed": 0}]
    after = (await http.get(f"/v1/projects/{shop}/quality", params={"days": 1})).json()
    assert (after["judgedSearches"], after["meanReciprocalRank"], after["precision"]) == (1, 0.5, 0.5)
    assert (before["judgedSearches"], before["meanReciprocalRank"]) == (0, None)
    [found] = [one async for one in colour_client.list_feedback(shop)]
    assert (found.search_id, found.query_sha256) == (body["searchId"], body["querySha256"])


@pytest.mark.parametrize(
    "change",
    [
        {"searchId": "x"},
        {"searchId": None},
        {"further": 1},
        {"verdicts": []},
        {"verdicts": [{"sha256": "0" * 64, "rank": 1}]},
        {"verdicts": [{"sha256": "0" * 64, "rank": True, "verdict": "right"}]},
        {"verdicts": [{"sha256": "0" * 64, "rank": 1.5, "verdict": "right"}]},
        {"verdicts": [{"sha256": "0" * 64, "rank": 1, "verdict": "perhaps"}]},
        {"verdicts": [{"sha256": "0", "rank": 1, "verdict": "right"}]},
    ],
)
async def test_feedback_that_is_none_is_refused(http: httpx.AsyncClient, shop: str, change: dict[str, object]) -> None:
    verdict = {"sha256": "0" * 64, "rank": 1, "verdict": "right"}
    body = {"searchId": "A" * 22, "verdicts": [verdict]} | change
    problem(await http.post(f"/v1/projects/{shop}/feedback", json=body), 400, "INVALID_BODY")


async def test_feedback_on_a_search_of_another_project_is_refused(http: httpx.AsyncClient, shop: str) -> None:
    verdict = {"sha256": "0" * 64, "rank": 1, "verdict": "right"}
    body = {"searchId": "A" * 22, "verdicts": [verdict]}  # of project 0
    problem(await http.post(f"/v1/projects/{shop}/feedback", json=body), 400, "INVALID_FIELD")
    nan = json.dumps(body | {"verdicts": [verdict | {"rank": float("nan")}]})
    sent = await http.post(f"/v1/projects/{shop}/feedback", content=nan, headers={"content-type": "application/json"})
    problem(sent, 400, "INVALID_BODY")
