"""A folder, manifests and a host that are as bad as real ones: every good image is stored, every other is named."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pytest
from aiohttp import web
from pyarrow import parquet

from lookalike import Reference
from tests.e2e.test_indexing_cli import Shop, embedder, searcher, shop
from tests.pictures import jpeg

__all__ = ["embedder", "searcher", "shop"]

SIGNED = "/signed.jpg?X-Signature=a%2Bb%2Fc~+%7e"


def picture(number: int) -> bytes:
    """One of many that are all different, and different from those of a shop."""
    return jpeg(200 + number, 33)


@pytest.fixture
async def host() -> AsyncIterator[str]:
    """The URL of a host with good images at /1.jpg and so on, which is bad in many ways elsewhere."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/signed.jpg":
            return web.Response(body=picture(30), status=200 if request.raw_path == SIGNED else 403)
        if request.path == "/busy.jpg":
            return web.Response(status=429)
        if request.path == "/broken.jpg":
            return web.Response(status=500)
        if request.path == "/page.jpg":
            return web.Response(text="<html>Not here</html>", content_type="text/html")
        if request.path == "/loop.jpg":
            return web.Response(status=302, headers={"Location": "/loop.jpg"})
        number = Path(request.path).stem
        return web.Response(body=picture(int(number))) if number.isdigit() else web.Response(status=404)

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def write_folder(folder: Path) -> None:
    """Three good photos, of which one lacks its end, and much that is none."""
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "ä b#1%.JPG").write_bytes(picture(20))
    (folder / "2.jpeg").write_bytes(picture(21))
    (folder / "end.jpg").write_bytes(picture(22)[:-2])
    (folder / "cut.jpg").write_bytes(picture(23)[:-40] + bytes(4096))
    (folder / "film.mp4").touch()
    (folder / ".hidden.jpg").touch()
    (folder / "none.jpg").write_text("no image")
    (folder / "itself.jpg").symlink_to("itself.jpg")
    (folder / "nowhere.jpg").symlink_to("share/nowhere.jpg")
    (folder / "again").symlink_to(".", target_is_directory=True)


def write_manifests(folder: Path, host: str) -> None:
    """Manifests of many shapes, which name images of the host."""
    rows = [
        "",
        "URI; Product ;Größe;note",
        f"{host}/1.jpg; hat;40;",
        f"{host}/1.jpg; hat;41;",
        f"{host}/2.jpg; hat",
        f"{host}/3.jpg;hat;42;{'long ' * 100}",
        f'{host}/4.jpg;hat;43;"open',
    ]
    latin = f"{host}/99.jpg;Mütze;44;\n".encode("latin-1")
    (folder / "list.csv").write_bytes("\n".join(rows[:-1]).encode() + b"\n" + latin + rows[-1].encode())
    bad = ["busy.jpg", "broken.jpg", "page.jpg", "loop.jpg", "missing.jpg", "5.jpg"]
    uris = [*(f"{host}/{name}" for name in bad), host + SIGNED, "http://nowhere.invalid/1.jpg", "nothing.jpg"]
    (folder / "list.json.gz").write_bytes(gzip.compress(json.dumps([{"uri": uri} for uri in uris]).encode()))
    table = pa.table({"uri": [f"{host}/6.jpg", f"{host}/7.jpg"], "product": [1001.0, float("nan")]})
    parquet.write_table(table, folder / "list.parquet")
    feed = (Path(__file__).parents[1] / "feeds" / "google.xml").read_text()
    for name, number in (
        ("hat-red.jpg?w=800&amp;v=2", 8),
        ("hat-red-2.jpg", 9),
        ("hat-red-3.jpg", 10),
        ("bag.jpg", 11),
    ):
        feed = feed.replace(f"https://shop.example/i/{name}", f"{host}/{number}.jpg")
    (folder / "feed.xml").write_text(feed.replace("UTF-8", "UTF-16"), encoding="utf-16")
    (folder / "other.csv").write_text("prodcut,url\nhat,1.jpg\n")


async def test_every_good_image_is_stored_and_every_other_is_named(shop: Shop, host: str) -> None:
    write_folder(shop.folder / "photos")
    write_manifests(shop.folder, host)
    sources = ["photos", "list.csv", "list.json.gz", "list.parquet", "other.csv", "feed.xml"]
    done = await shop.index(*sources, "--json", "--sync")
    assert done.code == 2, "nothing is deleted after failures"
    references = {
        Path(reference.uri).name: reference
        async for image in shop.client.list_images(shop.project)
        for reference in image.references
    }
    good = [*(f"{number}.jpg" for number in (1, 2, 3, *range(5, 12))), "2.jpeg", "end.jpg", Path(SIGNED).name]
    assert set(references) == {*good, "%C3%A4%20b%231%25.JPG"}
    assert_products(references, host)
    report = done.event("report")
    assert report["indexed"] == len(references)
    named = {event["uri"]: event["reason"] for event in done.events if event["event"] == "failed"}
    photos = shop.folder / "photos"
    assert named == {
        str(photos / "itself.jpg"): "UNREADABLE",
        str(photos / "nowhere.jpg"): "UNREADABLE",
        (photos / "none.jpg").as_uri(): "UNSUPPORTED_FORMAT",
        (photos / "cut.jpg").as_uri(): "CORRUPT_IMAGE",
        "list.csv:7": "INVALID_ROW",
        "list.csv:8": "INVALID_ROW",
        f"{host}/busy.jpg": "HTTP_429",
        f"{host}/broken.jpg": "HTTP_500",
        f"{host}/page.jpg": "UNSUPPORTED_FORMAT",
        f"{host}/loop.jpg": "TOO_MANY_REDIRECTS",
        f"{host}/missing.jpg": "HTTP_404",
        "http://nowhere.invalid/1.jpg": "HOST_NOT_FOUND",
        (shop.folder / "nothing.jpg").as_uri(): "UNREADABLE",
        "other.csv": "INVALID_MANIFEST",
        "feed.xml:18": "INVALID_ROW",
    }
    assert report["notes"] == {"ROW_REPEATED": 1, "SHORT_ROW": 1, "LABEL_DROPPED": 1, "END_MISSING": 1}
    assert report["passedOver"] == {".mp4": 1, "hidden": 1, "link to a folder": 1}
    assert [event["place"] for event in done.events if event.get("reason") == "END_MISSING"] == [
        (photos / "end.jpg").as_uri()
    ]
    sources.remove("list.json.gz")  # whose hosts are waited for; two of its images are good
    again = (await shop.index(*sources, "--json")).event("report")
    assert (again["indexed"], again["unchanged"]) == (0, len(references) - 2)


def assert_products(references: dict[str, Reference], host: str) -> None:
    """What the images show is read right, too."""
    assert {name: references[name].product for name in ("1.jpg", "2.jpg", "3.jpg", "6.jpg", "7.jpg", "8.jpg")} == {
        **dict.fromkeys(("1.jpg", "2.jpg", "3.jpg"), "hat"),
        "6.jpg": "1001",
        "7.jpg": "",
        "8.jpg": "HAT",
    }
    assert references["1.jpg"].labels == {"Größe": "40"}
    assert references["3.jpg"].labels == {"Größe": "42"}
    assert references["8.jpg"].uri == f"{host}/8.jpg"
