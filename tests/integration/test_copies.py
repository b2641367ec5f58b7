"""Fingerprints and proofs through all servers: made, stored, checked, filled in later, and compared."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from PIL import Image, ImageOps

from lookalike import (
    Client,
    FetchSettings,
    Hit,
    InvalidRequestError,
    Item,
    Match,
    MatchBasis,
    Outcome,
    Query,
    SearchResult,
    Status,
)
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_embedder import loading, space
from lookalike_embedder import server as embedder_server
from lookalike_embedder.config import Config as EmbedderConfig
from lookalike_embedder.metrics import Metrics
from lookalike_gateway.config import Config as GatewayConfig
from lookalike_gateway.server import serving
from lookalike_searcher.database.pool import Database
from lookalike_searcher.projects import registry
from lookalike_serving.fingerprint import NAME, Fingerprint, making
from lookalike_serving.server import Server
from tests import thumbnail_embedder
from tests.command_line import CommandLine, Done
from tests.indexer import Writer
from tests.pictures import encoded, shipped

NAMES = ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg")


@cache
def photo(name: str) -> bytes:
    return encoded(shipped(name), "JPEG", quality=90)


def items(*names: str) -> list[Item]:
    return [Item(photo(name), f"https://shop/{name}", product=name) for name in names]


@cache
def fingerprint() -> Fingerprint:
    return making.make(np.asarray(shipped("chelsea.png")), 451, 300)


def message(**changed: object) -> common.Fingerprint:
    held = fingerprint()
    fields = {"version": NAME, "picture": held.picture, "keypoints": held.keypoints}
    return common.Fingerprint(**fields | changed)


async def statuses(outcomes: AsyncIterator[Outcome]) -> list[Status]:
    return [outcome.status async for outcome in outcomes]


async def stored(database: Database, project: str) -> int:
    """How many fingerprints the project holds, of which all belong to an image."""
    async with registry.reading(database, project) as (connection, found):
        return int(await connection.fetchval(f"SELECT count(*) FROM p{found.id}.fingerprint"))  # noqa: S608


@asynccontextmanager
async def without_fingerprints(config: EmbedderConfig, searcher: Server) -> AsyncIterator[Client]:
    """A client of an embedder that makes none, in the space of the others."""
    identity = space.vgg16(sha256(b"thumbnails").hexdigest())
    with ThreadPoolExecutor(1) as worker:
        described = loading.describe(config, identity, "cpu", "thumbnails", 1)
        loaded = loading.Loaded(thumbnail_embedder.shrink, described)
        config = replace(config, no_fingerprints=True)
        async with (
            embedder_server.serving(config, loaded, worker, metrics=Metrics()) as server,
            Client(f"127.0.0.1:{server.port}", f"127.0.0.1:{searcher.port}") as client,
        ):
            yield client


async def test_what_is_indexed_and_synced_has_a_fingerprint_as_long_as_it_is_there(
    client: Client, project: str, database: Database
) -> None:
    outcomes = [outcome async for outcome in client.index(project, items(*NAMES[:3]))]
    assert {outcome.status for outcome in outcomes} == {Status.INDEXED}
    await client.sync_product(project, NAMES[3], items(NAMES[3]))
    assert await stored(database, project) == 4
    await client.delete_images(project, products=NAMES[0])
    await client.sync_product(project, NAMES[3], [])
    assert await stored(database, project) == 2


async def test_reading_again_fills_in_what_misses(
    client: Client, embedder_config: EmbedderConfig, searcher: Server, database: Database
) -> None:
    async with without_fingerprints(embedder_config, searcher) as earlier:
        project = "refingerprinted"
        await earlier.create_project(project)
        try:
            assert not (await earlier.embed(photo(NAMES[0]), fingerprint=True)).fingerprint
            assert await statuses(earlier.index(project, items(*NAMES[:2]))) == [Status.INDEXED] * 2
            assert await stored(database, project) == 0
            assert await statuses(client.index(project, items(*NAMES[:2]))) == [Status.UNCHANGED] * 2
            for status in (Status.INDEXED, Status.UNCHANGED):
                again = client.index(project, items(*NAMES[:2]), fetch=FetchSettings(reread=True))
                assert await statuses(again) == [status] * 2
            assert await stored(database, project) == 2
        finally:
            await client.delete_project(project)


async def test_a_project_without_fingerprints_stores_none_until_it_is_switched_on(
    client: Client, project: str, database: Database
) -> None:
    assert (await client.get_project(project)).fingerprints_enabled
    assert not (await client.update_project(project, fingerprints_enabled=False)).fingerprints_enabled
    reread = FetchSettings(reread=True)
    assert await statuses(client.index(project, items(NAMES[0]), fetch=reread)) == [Status.INDEXED]
    assert await statuses(client.index(project, items(NAMES[0]), fetch=reread)) == [Status.UNCHANGED]
    assert await stored(database, project) == 0
    assert (await client.update_project(project, fingerprints_enabled=True)).search_enabled
    assert await statuses(client.index(project, items(NAMES[0]), fetch=reread)) == [Status.INDEXED]
    assert await stored(database, project) == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"version": "sift0"}, f"fingerprint.version: must be '{NAME}', got 'sift0'"),
        ({"picture": bytes(24_577)}, "fingerprint.picture: must be at most 24576 bytes, got 24577"),
        ({"picture": b"GIF89a"}, "fingerprint.picture: must be a lossy WebP without transparency, got 6 bytes"),
        ({"keypoints": b"\xa0\x6a\xb5"}, "fingerprint.keypoints: must be at most 180 keypoints, got 181"),
        ({"keypoints": b"\xa0\x6a\x01"}, "fingerprint.keypoints: must be 25 bytes for 1 keypoints, got 3"),
        (
            {"keypoints": b"\x10\x10\x00"},
            "fingerprint.keypoints: must be of the picture's 160 x 106",
        ),
    ],
)
async def test_a_fingerprint_that_is_broken_or_of_another_version_is_refused(
    searcher_channel: grpc.aio.Channel, client: Client, project: str, changed: dict[str, object], told: str
) -> None:
    stub = SearcherServiceStub(searcher_channel)
    request = Writer(stub, project, (await client.model()).space).request(1)
    request.fingerprint.CopyFrom(message(**changed))
    request.project = project

    async def stream() -> AsyncIterator[wire.IndexImagesRequest]:
        yield request

    [answer] = [answer async for answer in stub.IndexImages(stream())]
    assert answer.error.message.startswith(told), answer


def framed_crop(border: float = 0.08) -> bytes:
    """The cat, mirrored, cropped to 81 %, and with a border."""
    cat = ImageOps.mirror(shipped(NAMES[0]))
    width, height = cat.size
    crop = cat.crop((width // 20, height // 20, width - width // 20, height - height // 20))
    return encoded(ImageOps.expand(crop, round(border * crop.width), "white"), "JPEG", quality=80)


async def hit_of(client: Client, project: str, name: str, **query: Any) -> Hit:  # noqa: ANN401 - of `search`
    """The hit of one of the photos."""
    result = await client.search(project, **query)
    [hit] = [hit for hit in result.hits if hit.references[0].product == name]
    return hit


@pytest.fixture
async def shop(client: Client, project: str) -> str:
    """A project of all the photos."""
    assert await statuses(client.index(project, items(*NAMES))) == [Status.INDEXED] * len(NAMES)
    return project


async def test_a_mirrored_crop_with_a_border_is_proven_and_look_alikes_are_not(client: Client, shop: str) -> None:
    hits = (await client.search(shop, image=framed_crop(), verify=10)).hits
    assert {hit.match_basis for hit in hits} == {MatchBasis.FINGERPRINT}
    proven = {hit.references[0].product: hit for hit in hits if hit.proof}
    assert proven.keys() == {NAMES[0]}
    assert {hit.match for hit in hits if not hit.proof} == {Match.SIMILAR}
    hit = proven[NAMES[0]]
    proof = hit.proof
    assert proof
    assert hit.match is Match.NEAR_DUPLICATE
    assert (proof.mirrored, proof.bordered) == (True, True)
    assert proof.confidence > 0.9
    assert abs(proof.turned) < 2
    assert len(proof.corners_in_image) == len(proof.corners_in_query) == 4


async def test_a_crop_says_which_part_is_left(client: Client, shop: str) -> None:
    hit = await hit_of(client, shop, NAMES[0], image=framed_crop(border=0), verify=4)
    assert hit.proof
    assert (hit.proof.mirrored, hit.proof.cropped, hit.proof.bordered) == (True, True, False)
    assert hit.proof.of_image == pytest.approx(0.81, abs=0.04)
    assert sorted({round(point.x, 1) for point in hit.proof.corners_in_image}) == pytest.approx([0.05, 0.95], abs=0.06)


async def test_other_colours_of_the_same_photo_are_told(client: Client, shop: str) -> None:
    hue, saturation, value = shipped(NAMES[1]).convert("HSV").split()
    turned = Image.merge("HSV", (hue.point(lambda level: (level + 90) % 256), saturation, value)).convert("RGB")
    hit = await hit_of(client, shop, NAMES[1], image=encoded(turned, "JPEG", quality=90), verify=4)
    assert hit.match is Match.RECOLOURED
    assert hit.proof
    assert hit.proof.recoloured > 5


async def test_the_cosine_says_what_it_is_where_nothing_was_compared_and_the_answer_says_so(
    client: Client, shop: str, searcher_channel: grpc.aio.Channel
) -> None:
    small = encoded(shipped(NAMES[0]).resize((226, 150)), "JPEG", quality=60)
    asked = await hit_of(client, shop, NAMES[0], image=small, verify=1)
    assert (asked.match, asked.match_basis) == (Match.NEAR_DUPLICATE, MatchBasis.FINGERPRINT)
    not_asked = await hit_of(client, shop, NAMES[0], image=small)
    assert (not_asked.match, not_asked.match_basis, not_asked.proof) == (Match.NEAR_DUPLICATE, MatchBasis.COSINE, None)
    own = await hit_of(client, shop, NAMES[0], image=photo(NAMES[0]), verify=4)
    assert (own.match, own.match_basis) == (Match.EXACT, MatchBasis.FILE)
    embedding = await client.embed(small)
    without = await hit_of(client, shop, NAMES[0], embedding=embedding, verify=4)
    assert without.match_basis is MatchBasis.COSINE
    embedding = await client.embed(small, fingerprint=True)
    with_it = await hit_of(client, shop, NAMES[0], embedding=embedding, verify=4)
    assert with_it.match_basis is MatchBasis.FINGERPRINT
    beyond = (await client.search(shop, image=small, verify=2)).hits
    assert [hit.match_basis for hit in beyond] == [MatchBasis.FINGERPRINT] * 2 + [MatchBasis.COSINE] * 2


async def test_an_image_of_the_project_is_compared_by_the_fingerprint_that_is_there(client: Client, shop: str) -> None:
    copy = Item(framed_crop(), "https://shop/copy.jpg", product="copy")
    await statuses(client.index(shop, [copy]))
    hit = await hit_of(client, shop, NAMES[0], uri="https://shop/copy.jpg", verify=10)
    assert hit.proof
    assert hit.proof.mirrored
    [batched] = await client.search_batch(shop, [Query(sha256=hit.sha256, verify=10)])
    assert isinstance(batched, SearchResult)
    assert [one.references[0].product for one in batched.hits if one.proof] == ["copy"]


async def test_too_little_to_tell_is_said(client: Client, shop: str) -> None:
    blank = encoded(Image.new("RGB", (300, 200), "navy"), "PNG")
    await statuses(client.index(shop, [Item(blank, "https://shop/blank.png", product="blank")]))
    almost = encoded(Image.new("RGB", (300, 200), (0, 0, 126)), "PNG")
    hit = await hit_of(client, shop, "blank", image=almost, verify=10)
    assert (hit.match, hit.match_basis, hit.proof) == (Match.SIMILAR, MatchBasis.TOO_LITTLE, None)


async def test_a_stored_fingerprint_that_is_broken_fails_no_search_and_a_query_that_is_broken_is_refused(
    client: Client, shop: str, database: Database
) -> None:
    async with registry.writing(database, shop) as (connection, found):
        await connection.execute(f"UPDATE p{found.id}.fingerprint SET keypoints = '\\x00' WHERE image_id = 1")  # noqa: S608
    hits = (await client.search(shop, image=framed_crop(), verify=10)).hits
    assert sorted(hit.match_basis for hit in hits) == [MatchBasis.COSINE] + [MatchBasis.FINGERPRINT] * 3
    embedding = await client.embed(photo(NAMES[0]), fingerprint=True)
    assert embedding.fingerprint
    cut = replace(embedding.fingerprint, picture=embedding.fingerprint.picture[:200])
    with pytest.raises(InvalidRequestError, match=r"fingerprint\.picture: must be a whole WebP of 160 x 106 pixels"):
        await client.search(shop, embedding=replace(embedding, fingerprint=cut), verify=10)


def in_collage() -> bytes:
    """The coffee beside three pictures that are not the shop's."""
    sheet = Image.new("RGB", (600, 600))
    for place, name in enumerate(("retina.jpg", "page.png", "motorcycle_left.png", NAMES[1])):
        sheet.paste(ImageOps.fit(shipped(name).convert("RGB"), (300, 300)), (place % 2 * 300, place // 2 * 300))
    return encoded(sheet, "JPEG", quality=90)


async def test_a_thorough_search_finds_copies_that_are_near_to_no_photo_as_a_whole(client: Client, shop: str) -> None:
    plain = await client.search(shop, image=in_collage(), limit=1, verify=1)
    assert not plain.hits[0].proof
    thorough = await client.search(shop, image=in_collage(), limit=1, verify=1, thorough=True)
    [hit] = thorough.hits
    assert hit.references[0].product == NAMES[1]
    assert hit.proof
    assert hit.proof.bordered
    assert hit.similarity > plain.hits[0].similarity
    assert not thorough.next_page_token
    wider = (await client.search(shop, image=in_collage(), limit=4, verify=4, thorough=True)).hits
    assert len({hit.sha256 for hit in wider}) == len(wider) == 4
    unlike = {"image": in_collage(), "limit": 1, "verify": 1, "thorough": True, "min_similarity": 0.999}
    assert not (await client.search(shop, **unlike)).hits
    picture = Item(in_collage(), "https://elsewhere/collage.jpg")
    found = {
        wanted: [suspect async for suspect in client.find_copies(shop, [picture], candidates=1, thorough=wanted)]
        for wanted in (False, True)
    }
    assert [[len(suspect.copies) for suspect in suspects] for suspects in found.values()] == [[0], [1]]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"rerank": 5}, "rerank: must be 0 with views, got 5"),
        ({"rerank": "auto"}, "auto_rerank: must be left out with views, got True"),
        ({"group_by_product": True}, "group_by: must be left out with views, got 1"),
        ({"page_token": "x"}, "page_token: must be empty with views: there is one page, got 'x'"),
    ],
)
async def test_a_thorough_search_refuses_what_does_not_go_with_it(
    client: Client, shop: str, query: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidRequestError, match=told):
        await client.search(shop, image=framed_crop(), verify=5, thorough=True, **query)
    for misfit in ({"sha256": "00" * 32, "verify": 5}, {"image": framed_crop(), "verify": 0}):
        with pytest.raises(ValueError, match="a thorough search takes verify, and an image or an embedding"):
            await client.search(shop, **misfit, thorough=True)


@pytest.mark.parametrize("verify", [-1, 101])
async def test_more_than_a_hundred_are_not_compared(client: Client, project: str, verify: int) -> None:
    with pytest.raises(InvalidRequestError, match=f"verify: must be 0 to 100, got {verify}"):
        await client.search(project, image=photo(NAMES[0]), verify=verify)


async def test_http_answers_with_the_proof(client: Client, shop: str) -> None:
    embedder, searcher = client._servers._addresses.values()
    async with (
        serving(GatewayConfig(embedder=embedder, searcher=searcher, port=0)) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        path = f"/v1/projects/{shop}/image-search"
        asked: dict[str, int | str] = {"verify": 2, "limit": 2}
        body, headers = framed_crop(), {"content-type": "image/jpeg"}
        page = (await http.post(path, params=asked, content=body, headers=headers)).json()
        proven = {result["productVariants"][0]["product"]: result for result in page["results"] if result["proof"]}
        refused = await http.post(path, params={"verify": 101}, content=body, headers=headers)
        deep: dict[str, str | int] = {"verify": 1, "limit": 1, "thorough": "true"}
        thorough = (await http.post(path, params=deep, content=in_collage(), headers=headers)).json()
        unfit = [
            await http.post(path, params={"thorough": "true"}, content=body, headers=headers),
            await http.post(path, params=deep | {"offset": 1}, content=body, headers=headers),
            await http.get(path, params=deep | {"sha256": "00" * 32}),
        ]
    assert {result["matchBasis"] for result in page["results"]} == {"fingerprint"}
    assert proven.keys() == {NAMES[0]}
    assert proven[NAMES[0]]["match"] == "near-duplicate"
    assert proven[NAMES[0]]["proof"]["mirrored"] is True
    assert proven[NAMES[0]]["proof"]["cornersInImage"][0].keys() == {"x", "y"}
    assert refused.status_code == 400
    assert [result["productVariants"][0]["product"] for result in thorough["results"]] == [NAMES[1]]
    assert [answer.status_code for answer in unfit] == [400, 400, 400]


async def test_all_pages_of_a_search_are_verified_alike(client: Client, shop: str) -> None:
    """By HTTP a later page is verified by the photo that is sent again, and says so where there is none."""
    copy = encoded(shipped(NAMES[2]).transpose(Image.Transpose.FLIP_LEFT_RIGHT), "JPEG")
    whole = (await client.search(shop, image=copy, verify=len(NAMES))).hits
    by_client = [page async for page in client.search_pages(shop, Query(image=copy, limit=1, verify=1))]
    assert [hit for page in by_client for hit in page.hits] == list(whole)
    embedder, searcher = client._servers._addresses.values()
    headers = {"content-type": "image/jpeg"}
    async with (
        serving(GatewayConfig(embedder=embedder, searcher=searcher, port=0)) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        ask = partial(http.post, f"/v1/projects/{shop}/image-search", headers=headers)

        async def page(content: bytes = b"", **asked: int | str) -> Any:  # noqa: ANN401 - the answer's JSON
            answer = await ask(params={"limit": 1, "verify": 1} | asked, content=content)
            assert answer.status_code == 200, answer.text
            return answer.json()

        expected = (await page(copy, limit=len(NAMES), verify=len(NAMES)))["results"]
        pages = [await page(copy)]
        while token := pages[-1]["nextPageToken"]:
            pages.append(await page(copy, page_token=token))
        by_offset = [await page(copy, offset=place) for place in range(len(NAMES))]
        unsent = await page(page_token=pages[0]["nextPageToken"])
        beyond = await page(copy, offset=len(NAMES))
        other = await ask(params={"verify": 1, "page_token": pages[0]["nextPageToken"]}, content=photo(NAMES[0]))
    assert [result["sha256"] for result in expected] == [hit.sha256 for hit in whole]
    assert {result["matchBasis"] for result in expected} == {"fingerprint"}
    assert [one["results"] for one in pages] == [one["results"] for one in by_offset] == [[one] for one in expected]
    assert beyond["results"] == []
    assert [result["matchBasis"] for result in unsent["results"]] == ["cosine"]
    assert other.json()["reason"] == "INVALID_PARAMETER"
    assert "page_token: must be of a search with the photo that is the body" in other.json()["detail"]


async def test_http_tells_what_a_picture_is_a_copy_of_and_shows_the_photo(client: Client, shop: str) -> None:
    """The photo's address is a shop's, so what is shown of it is its fingerprint's picture."""
    embedder, searcher = client._servers._addresses.values()
    body, headers, path = framed_crop(), {"content-type": "image/jpeg"}, f"/v1/projects/{shop}"
    other = encoded(shipped("retina.jpg"), "JPEG")
    async with (
        serving(GatewayConfig(embedder=embedder, searcher=searcher, port=0)) as url,
        httpx.AsyncClient(base_url=url, timeout=60, headers=headers) as http,
    ):
        found = (await http.post(f"{path}/copies", content=body)).json()
        none = (await http.post(f"{path}/copies", params={"candidates": 2}, content=other)).json()
        chosen = (await http.post(f"{path}/copies", params={"product": NAMES[1]}, content=body)).json()
        refused = await http.post(f"{path}/copies", content=b"no picture")
        [copy] = found["copies"]
        shown = await http.get(copy["thumbnailUrl"])
        again = await http.get(copy["thumbnailUrl"], headers={"if-none-match": shown.headers["etag"]})
    assert (copy["productVariants"][0]["product"], copy["match"]) == (NAMES[0], "near-duplicate")
    assert copy["proof"]["mirrored"] is True
    assert (found["candidates"], found["unverified"]) == (len(NAMES), 0)
    assert (none["copies"], none["candidates"]) == ([], 2)
    assert (chosen["copies"], chosen["candidates"]) == ([], 1)
    assert refused.json()["reason"] == "UNSUPPORTED_FORMAT"
    assert (shown.status_code, shown.headers["content-type"], again.status_code) == (200, "image/webp", 304)
    assert shown.content == await client.get_thumbnail(shop, copy["sha256"])
    with Image.open(io.BytesIO(shown.content)) as picture:
        assert (picture.format, max(picture.size)) == ("WEBP", 160)


async def test_the_command_line_says_what_was_done_and_what_was_not_verified(
    client: Client, shop: str, commands: CommandLine, tmp_path: Path
) -> None:
    embedder, searcher = client._servers._addresses.values()
    run = partial(commands.run, environment={"LOOKALIKE_EMBEDDER": embedder, "LOOKALIKE_SEARCHER": searcher})
    file = tmp_path / "stolen.jpg"
    file.write_bytes(framed_crop())
    shown = await asyncio.to_thread(run, "search", shop, str(file))
    titles, *rows = [line.split("\t") for line in shown.output.splitlines()]
    assert titles == ["rank", "similarity", "match", "what was done", "product", "where"]
    [proven] = [row for row in rows if row[3]]
    assert (proven[2], proven[4]) == ("near-duplicate", NAMES[0])
    assert proven[3].startswith("mirrored, ")
    assert "could not be verified" not in shown.errors
    unverified = await asyncio.to_thread(run, "search", shop, str(file), "--verify", "0")
    assert "what was done" not in unverified.output
    (tmp_path / "collage.jpg").write_bytes(in_collage())
    arguments = ("search", shop, str(tmp_path / "collage.jpg"), "--limit", "1", "--thorough")
    thorough = await asyncio.to_thread(run, *arguments)
    assert "framed or pasted" in thorough.output
    assert (await asyncio.to_thread(run, *arguments, "--verify", "0")).code == 2
    switched = await asyncio.to_thread(run, "project", "fingerprints", shop, "--off")
    assert switched.code == 0, switched.errors
    await client.delete_images(shop, products=NAMES[0])
    await statuses(client.index(shop, items(NAMES[0])))
    before = await asyncio.to_thread(run, "search", shop, str(file))
    assert "1 of 4 hits could not be verified, as there is no fingerprint" in before.errors


async def test_suspicious_pictures_are_looked_for_once_and_copies_are_reported(
    client: Client, shop: str, commands: CommandLine, tmp_path: Path
) -> None:
    embedder, searcher = client._servers._addresses.values()
    environment = {"LOOKALIKE_EMBEDDER": embedder, "LOOKALIKE_SEARCHER": searcher}
    folder = tmp_path / "suspects"
    folder.mkdir()
    (folder / "stolen.jpg").write_bytes(framed_crop())
    (folder / "other.png").write_bytes(encoded(shipped("retina.jpg"), "PNG"))
    (folder / "broken.jpg").write_text("no picture")
    results = tmp_path / "results.jsonl"

    report = tmp_path / "report.html"

    async def run(*arguments: str) -> Done:
        words = ("copies", shop, str(folder), "--results", str(results), "--report", str(report), *arguments)
        return await asyncio.to_thread(commands.run, *words, environment=environment)

    found = await run()
    assert found.code == 3, found.errors
    titles, row = (line.split("\t") for line in found.output.splitlines())
    assert titles == ["picture", "match", "what was done", "product", "where"]
    uri, match, done, product, where = row
    assert uri.endswith("/stolen.jpg")
    assert (match, product, where) == ("near-duplicate", NAMES[0], f"https://shop/{NAMES[0]}")
    assert done.startswith("mirrored, ")
    assert "1 are copies, 1 are not, 1 failed" in found.errors
    kept = {Path(line["uri"]).name: line for line in map(json.loads, results.read_text().splitlines())}
    assert kept["stolen.jpg"]["copies"][0]["proof"]["mirrored"] is True
    assert kept["other.png"]["copies"] == []
    assert kept["broken.jpg"]["reason"] == "UNSUPPORTED_FORMAT"
    again = await run("--json")
    assert [Path(line["uri"]).name for line in again.events] == ["broken.jpg"], "what failed is tried again"
    assert again.code == 1
    assert "2 known from the file" in again.errors
    page = report.read_text()
    assert page.count("data:image/webp;base64,") == 2, "what the file knows is in the report, with both pictures"
    for said in ("stolen.jpg", f"https://shop/{NAMES[0]}", "mirrored, ", "1 picture is a copy, 1 is not, 1 could not"):
        assert said in page
