"""Each block of Python and for a shell, in the README and in the docs, does what its page says, in the order there."""

import csv
import gzip
import json
import re
import tomllib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from lookalike import Client, Item, NotFoundError
from tests.documents import ROOT, SHELL, Reader, blocks
from tests.duration import LONG

LEFT_OUT: Final = (
    "make ",  # test_demo runs the demo
    "pip install ",  # see the last test
    "lookalike index shop 's3://",  # there is no store
    "python tools/gpu_check.py",  # there is no GPU
    "python examples/",  # test_examples runs them
    "pytest -m gpu",
    "DATABASE_URL=",  # there is no Citus
    "docker ",  # there is no engine
    "lookalike-embedder export ",  # there is no hub of models
    "lookalike-embedder --model dinov2.onnx",
    "lookalike search shop --text ",  # VGG16 knows no words
    "curl -s -G --data-urlencode 'text=",
)
PAGES: Final = sorted(
    str(path.relative_to(ROOT))
    for path in [*(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").rglob("*.md")]
    if blocks(str(path.relative_to(ROOT)), "python", *SHELL)
)
AT_LENGTH: Final = ("docs/evaluation.md",)
"""Their commands keep the real model busy for a minute, and other tests run the same with a quick one."""
BEFORE: Final = {"docs/indexing.md": "import lookalike\nclient, items = lookalike.Client.from_env(), []\n"}
"""What the programs of a page take for granted."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photos: list[Path]) -> Path:
    """What a reader has: photos in a folder for each product, lists of them, and a photo to search for."""
    import pyarrow as pa  # heavy, and so is torch: all processes read all tests
    import torch
    from pyarrow import parquet

    folder = tmp_path_factory.mktemp("reader")
    for number, photo in enumerate([photo for photo in photos if photo.suffix == ".jpg"][:4]):
        product = folder / "photos" / f"product-{number % 2}"
        product.mkdir(parents=True, exist_ok=True)
        (product / photo.name).write_bytes(photo.read_bytes())
        (folder / "photo.jpg").write_bytes(photo.read_bytes())
    rows = [(str(path.relative_to(folder)), path.parent.name) for path in sorted((folder / "photos").rglob("*.jpg"))]
    uris, products = ([row[column] for row in rows] for column in (0, 1))
    parquet.write_table(pa.table({"uri": uris, "product": products}), folder / "catalogue.parquet")
    (folder / "new.csv.gz").write_bytes(gzip.compress(b"uri,product\nphoto.jpg,new\n"))
    with (folder / "export.csv").open("w") as export, (folder / "labels.csv").open("w") as labels:
        csv.writer(export).writerows([("picture", "sku", "Farbe"), *((*row, "rot") for row in rows)])
        csv.writer(labels).writerows([("path", "label"), *rows])
    torch.save({"block1_conv1": torch.zeros(3)}, folder / "vgg16.pth")
    return folder


@pytest.fixture(scope="module")
async def readme(folder: Path) -> AsyncIterator[tuple[Reader, list[str]]]:
    """Somebody who has read the README and typed in all of it, and what was printed."""
    reader = Reader(folder)
    reader.environment["LOOKALIKE_DATA_DIR"] = str(folder / "data")
    try:
        yield reader, await reader.read("README.md", left_out=LEFT_OUT)
    finally:
        await reader.leave()


@pytest.fixture
async def reader(readme: tuple[Reader, list[str]], folder: Path, tmp_path: Path) -> AsyncIterator[Reader]:
    """Somebody who turns to a page of the docs after the README; the project is as pages take it for granted."""
    first, _ = readme
    async with Client(first.environment["LOOKALIKE_EMBEDDER"], first.environment["LOOKALIKE_SEARCHER"]) as client:
        await client.delete_project("shop")
        await client.create_project("shop")
        photos = sorted((folder / "photos").rglob("*.jpg"))
        items = [Item(photo, photo.as_uri(), photo.parent.name) for photo in photos]
        items.append(Item(photos[0], "https://shop.example/1.jpg", "bag", "small", labels={"colour": "red"}))
        assert all([outcome.error is None async for outcome in client.index("shop", items)])
        with suppress(NotFoundError):
            await client.delete_project("shop-again")
    reader = replace(first, environment=dict(first.environment), ports=dict(first.ports), started={})
    yield reader
    await reader.leave()


def test_the_readmes_sections_go_on_from_one_another(readme: tuple[Reader, list[str]], folder: Path) -> None:
    """The project is made once; the program finds the photos that were indexed before, and they are the same images."""
    _, outputs = readme
    _, created, indexed, searched, program, _, answer = outputs
    assert "shop" in created
    assert "4 indexed, 0 unchanged, 0 failed" in indexed
    hit = searched.splitlines()[1].split("\t")
    assert (hit[2], hit[3] in ("product-0", "product-1")) == ("exact", True)
    names = [path.name for path in (folder / "photos").rglob("*.jpg")]
    assert all(f"https://shop.example/{name} indexed" in program for name in names)
    assert re.search(r"^1\.000 exact \['(product-\d)', '\1'\]$", program, re.MULTILINE)
    found = json.loads(answer[answer.index("{") :])
    assert (found["total"], found["results"][0]["match"]) == (4, "exact")


@pytest.mark.parametrize("page", [page for page in PAGES if LONG or page not in AT_LENGTH])
async def test_what_a_page_says_works_after_the_readme(page: str, reader: Reader, tmp_path: Path) -> None:
    """What it shows below a command is what the command prints, but for figures; so with the names in JSON."""
    if page == "docs/security.md":  # with a searcher of its own
        reader.environment["LOOKALIKE_DATA_DIR"] = str(tmp_path)
    outputs = await reader.read(page, before=BEFORE.get(page, ""), left_out=LEFT_OUT)
    if page == "docs/http.md":
        [shown] = [json.loads(block.text) for block in blocks(page, "json")]
        for answer in map(json.loads, outputs[1:]):
            assert answer.keys() == shown.keys()
            assert answer["results"][0].keys() == shown["results"][0].keys()
    if page == "docs/supply.md":
        assert (reader.folder / "vgg16.safetensors").exists()


def test_what_a_page_installs_is_an_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {
        extra
        for page in ("README.md", *PAGES)
        for found in re.findall(r"pip install [^`\n\[]*\[([\w,-]+)\]", (ROOT / page).read_text())
        for extra in found.split(",")
    }
    assert named >= {"embedder", "searcher", "http", "index"}
    assert named <= extras.keys()
