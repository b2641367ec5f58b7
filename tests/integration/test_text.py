"""Searches with words: a model with a text encoder, from its files to the answers of every door."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import onnx
import pytest
from axe_playwright_python.async_playwright import Axe
from onnx import TensorProto
from playwright.async_api import expect

from lookalike import Client, InvalidRequestError, Item, PreconditionError, Query, TextEncoder
from lookalike_embedder import loading
from lookalike_embedder import server as embedder_server
from lookalike_embedder.config import Config
from lookalike_embedder.errors import InvalidModel
from lookalike_embedder.metrics import Metrics
from lookalike_gateway.app import application
from lookalike_gateway.config import Config as GatewayConfig
from lookalike_gateway.metrics import Metrics as GatewayMetrics
from lookalike_gateway.server import serving
from lookalike_serving.server import Server
from tests import onnx_files
from tests.browser import browser
from tests.command_line import CommandLine
from tests.integration.conftest import address
from tests.onnx_files import WORDS, write_text_encoder, write_tokenizer, write_with_text
from tests.pictures import jpeg

PHOTOS = {colour: jpeg(64, 48, colour) for colour in ("red", "green", "blue")}
Change = dict[str, str | None]


class Shop(NamedTuple):
    """A project of coloured photos, with the servers that search it."""

    client: Client
    project: str
    embedder: Server
    searcher: Server
    metrics: Metrics


def config(folder: Path, model: Path) -> Config:
    # no search for the best batch: it would take most of the time
    return Config(cache_dir=folder, port=0, decode_threads=1, max_batch_size=8, model=model)


@pytest.fixture(scope="module")
async def shop(searcher: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    folder, name, metrics = tmp_path_factory.mktemp("model"), f"words-{uuid.uuid4().hex[:12]}", Metrics()
    settings = config(folder, write_with_text(folder))
    with ThreadPoolExecutor(1) as worker:
        loaded = worker.submit(loading.load_model, settings).result()
        async with (
            embedder_server.serving(settings, loaded, worker, metrics=metrics) as embedder,
            Client(address(embedder), address(searcher)) as client,
        ):
            await client.create_project(name)
            items = [Item(photo, f"{colour}.jpg") for colour, photo in PHOTOS.items()]
            assert not [outcome.error async for outcome in client.index(name, items) if outcome.error]
            yield Shop(client, name, embedder, searcher, metrics)
            await client.delete_project(name)


async def test_words_find_the_photos_that_show_them(shop: Shop) -> None:
    for colour in PHOTOS:
        result = await shop.client.search(shop.project, text=f"{colour} boots", limit=2)
        assert result.hits[0].references[0].uri == f"{colour}.jpg"
        assert result.hits[0].similarity > result.hits[1].similarity
        assert result.embed_seconds > 0
    several = await shop.client.search_batch(shop.project, [Query(text="Blue"), Query(text=" "), Query(text="green")])
    assert isinstance(several[1], InvalidRequestError)
    found = [result.hits[0].references[0].uri for result in (several[0], several[2])]  # type: ignore[union-attr]
    assert found == ["blue.jpg", "green.jpg"]


async def test_texts_and_photos_have_vectors_of_one_space(shop: Shop) -> None:
    model, client = await shop.client.model(), shop.client
    assert model.text_encoder == TextEncoder(max_characters=1000, max_tokens=8)
    words, photo = await client.embed_text("red"), await client.embed(PHOTOS["red"])
    assert words.space == photo.space == model.space
    assert np.linalg.norm(words.values) == pytest.approx(1, abs=1e-5)
    assert np.dot(words.values, photo.values) > 0.9
    together = await asyncio.gather(*(client.embed_text(text) for text in ("red", "green red blue", "red")))
    assert together[0] == together[2] == words != together[1]


async def test_a_text_is_computed_once_and_counted(shop: Shop) -> None:
    def counted(source: str) -> float:
        return shop.metrics.registry.get_sample_value("lookalike_embedder_texts_total", {"source": source}) or 0

    before = counted("computed"), counted("cache")
    first, second = [await shop.client.embed_text("white rain") for _ in range(2)]
    assert first == second
    assert (counted("computed"), counted("cache")) == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize(
    ("text", "reason", "said"),
    [
        ("", "EMPTY_TEXT", "something else in it than white space"),
        (" \n", "EMPTY_TEXT", "something else in it than white space"),
        ("a" * 1001, "TEXT_TOO_LONG", "at most 1000 characters, has 1001"),
        ("red " * 7, "TOO_MANY_TOKENS", "at most 8 tokens for this model, .*, has 9"),
        ("\ud800", "INVALID_FIELD", "text: "),
    ],
)
async def test_a_text_that_is_not_accepted_is_refused(shop: Shop, text: str, reason: str, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=said) as refused:
        await shop.client.embed_text(text)
    assert refused.value.reason == reason


async def test_what_a_caller_writes_is_no_control_token(shop: Shop) -> None:
    """The end of a text cannot be written: three unknown words are, and so the text is too long."""
    with pytest.raises(InvalidRequestError, match="has 9"):
        await shop.client.embed_text("red [END] rain boots blue")


async def test_a_model_without_a_text_encoder_says_so(client: Client) -> None:
    assert (await client.model()).text_encoder is None
    with pytest.raises(PreconditionError, match="embeds images alone; it has no text encoder") as refused:
        await client.search("shop", text="red")
    assert refused.value.reason == "NO_TEXT_ENCODER"


async def test_the_command_line_searches_with_words(shop: Shop, commands: CommandLine) -> None:
    servers = ("--embedder", address(shop.embedder), "--searcher", address(shop.searcher))
    done = await commands.ask("search", shop.project, "--text", "red rain boots", "--json", *servers)
    assert done.code == 0, done.errors
    assert json.loads(done.output)["results"][0]["references"][0]["uri"] == "red.jpg"
    plain = await commands.ask("search", shop.project, "--text", "red rain boots", *servers)
    assert "could not be verified" not in plain.errors
    thorough = await commands.ask("search", shop.project, "--text", "red", "--thorough", *servers)
    assert (thorough.code, "words have no copies" in thorough.errors) == (2, True)
    both = await commands.ask("search", shop.project, "photo.jpg", "--text", "red", *servers)
    assert (both.code, "exactly one of an image and --text" in both.errors) == (2, True)


async def test_http_searches_with_words_page_after_page(shop: Shop) -> None:
    servers = {"embedder": address(shop.embedder), "searcher": address(shop.searcher)}
    app = application(GatewayConfig(**servers), GatewayMetrics())
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http,
    ):
        model = (await http.get("/v1/model")).json()
        assert (model["textEncoder"], model["dimensions"]) == ({"maxCharacters": 1000, "maxTokens": 8}, 16)
        path = f"/v1/projects/{shop.project}/image-search"
        first = (await http.get(path, params={"text": "green boots", "limit": 1})).json()
        after = (await http.get(path, params={"page_token": first["nextPageToken"], "limit": 1})).json()
        assert first["results"][0]["imageUrl"] == "green.jpg"
        assert first["timing"]["embedMs"] > 0
        assert (after["offset"], after["results"][0]["rank"]) == (1, 2)
        refused = (await http.get(path, params={"text": "red", "uri": "red.jpg"})).json()
        assert refused["detail"].startswith("sha256: exactly one of sha256, uri, text and page_token is required")


async def test_the_page_has_a_box_for_words_where_the_model_knows_some(shop: Shop, embedder: Server) -> None:
    async with browser() as chromium, await chromium.new_context() as context:
        page = await context.new_page()
        for server, has_words in ((embedder, False), (shop.embedder, True)):
            config = GatewayConfig(embedder=address(server), searcher=address(shop.searcher), port=0, grace=5)
            async with serving(config) as url:
                async with page.expect_response("**/v1/model"):
                    await page.goto(f"{url}/#search/{shop.project}")
                await expect(page.locator("#results .card")).to_have_count(3)
                await expect(page.locator("#words")).to_be_visible(visible=has_words)
                if has_words:
                    await page.get_by_label("Search with words").fill("blue boots")
                    await page.keyboard.press("Enter")
                    await expect(page.locator("#status")).to_contain_text("embedded in")
                    await expect(page.locator("#results .card").first).to_have_attribute("title", "blue.jpg")
                    assert page.url.endswith(f"#search/{shop.project}?text=blue+boots")
                    await page.reload()
                    await expect(page.get_by_label("Search with words")).to_have_value("blue boots")
                    await expect(page.locator("#results .card").first).to_have_attribute("title", "blue.jpg")
                    assert not (await Axe().run(page)).response["violations"]
                await page.goto("about:blank")  # so that no connection is left open


def no_encoder(folder: Path) -> None:
    (folder / "tiny-text.onnx").unlink()


def garbage_encoder(folder: Path) -> None:
    (folder / "tiny-text.onnx").write_bytes(b"<html>")


def other_dimensions(folder: Path) -> None:
    write_text_encoder(folder / "tiny-text.onnx", np.ones((len(WORDS), 8), np.float32))


def floats(folder: Path) -> None:
    write_text_encoder(folder / "tiny-text.onnx", np.ones((len(WORDS), 16), np.float32), TensorProto.FLOAT)


def fixed_length(folder: Path) -> None:
    write_text_encoder(folder / "tiny-text.onnx", np.ones((len(WORDS), 16), np.float32), length=77)


def no_length(folder: Path) -> None:
    write_text_encoder(folder / "tiny-text.onnx", np.zeros((len(WORDS), 16), np.float32))


def unknown_operator(folder: Path) -> None:
    encoder = onnx.load(folder / "tiny-text.onnx")
    encoder.graph.node[4].op_type = "Mulx"
    onnx.save(encoder, folder / "tiny-text.onnx")


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def garbage_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')


def larger_tokenizer(folder: Path) -> None:
    write_tokenizer(folder / "tokenizer.json", (*WORDS, "umbrella"))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (no_encoder, r"cannot read .*tiny-text.onnx"),
        (garbage_encoder, r"tiny-text.onnx is no ONNX file"),
        (other_dimensions, r"must have 16 dimensions, as those of images have, and is \[1, 8\]"),
        (floats, r"'ids' \[n, t\] must be int64 or int32, and not tensor\(float\)"),
        (fixed_length, r"'ids' \[n, 77\] must take \[n, tokens\].* or 8; see .*line 21: tokens = 8"),
        (
            no_length,
            r"tiny-text.onnx: vectors must have length 1, these have \[nan, nan\]; see .*line 14: normalisation",
        ),
        (unknown_operator, r"ONNX Runtime cannot load .*Mulx"),
        (no_tokenizer, r"line 17: tokenizer = \"tokenizer.json\": cannot read .*tokenizer.json"),
        (garbage_tokenizer, r"line 17: .*tokenizer.json is no tokenizer"),
        (larger_tokenizer, r"tiny-text.onnx fails on tokens of .*tokenizer.json, from 0 to 10"),
    ],
)
def test_a_text_encoder_that_is_wrong_is_refused_at_start(
    tmp_path: Path, broken: Callable[[Path], None], said: str
) -> None:
    model = write_with_text(tmp_path)
    broken(tmp_path)
    with pytest.raises(InvalidModel, match=said):
        loading.load_model(config(tmp_path, model))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text__output": None}, r"line 15: text.output: is missing; it must be the name of the output"),
        ({"text__tokens": "0"}, r"line 21: tokens = 0: must be the most tokens of a text, 1 to 4096"),
        ({"text__model": '"../tiny-text.onnx"'}, r"line 16: .*: must be the name of an ONNX file beside this one"),
        ({"text__normalisation": '"l2"'}, r"line 23: .*: is not known; known are .*, text.padding"),
        ({"text__input": '"tokens"'}, r"has the inputs 'ids' .*; see .*line 18: input = \"tokens\""),
        ({"text__output": '"y"'}, r"has the outputs 'vector' \[n, 16\]; see .*line 20: output = \"y\""),
        ({"text__mask": None}, r"has the inputs 'ids' \[n, t\], 'mask' \[n, t\], of which the TOML names ids"),
        ({"text__tokens": "2"}, r"tokenizer.json refuses .*: text: must have at most 2 tokens"),
    ],
)
def test_a_table_of_text_that_is_wrong_is_refused_with_its_line(tmp_path: Path, changes: Change, said: str) -> None:
    with pytest.raises(InvalidModel, match=said):
        loading.load_model(config(tmp_path, write_with_text(tmp_path, changes=changes)))


def test_the_space_follows_all_that_changes_a_vector(tmp_path: Path) -> None:
    def space(**changes: str | None) -> str:
        return loading.load_model(config(tmp_path, write_with_text(tmp_path, changes=changes))).description.space

    first = space()
    assert space(licence='"MIT"') == first
    others = [space(text__tokens="9"), space(text__padding="1")]
    unpadded = space(text__padding=None)
    assert space(text__padding=None, text__tokens="9") == unpadded
    model = write_with_text(tmp_path)
    encoder = onnx.load(tmp_path / "tiny-text.onnx")
    encoder.producer_name = "another"
    onnx.save(encoder, tmp_path / "tiny-text.onnx")
    others.append(loading.load_model(config(tmp_path, model)).description.space)
    write_with_text(tmp_path)
    (tmp_path / "tokenizer.json").write_text((tmp_path / "tokenizer.json").read_text() + "\n")
    others.append(loading.load_model(config(tmp_path, model)).description.space)
    assert len({first, unpadded, *others}) == 6


@pytest.mark.parametrize("kind", [TensorProto.INT32, TensorProto.INT64])
def test_texts_that_are_not_padded_have_the_same_vectors(tmp_path: Path, kind: int) -> None:
    padded = loading.load_model(config(tmp_path, write_with_text(tmp_path))).text
    write_text_encoder(tmp_path / "tiny-text.onnx", onnx_files.table(16), kind)
    (tmp_path / "tiny.toml").write_text((tmp_path / "tiny.toml").read_text().replace("padding = 0\n", ""))
    alone = loading.load_model(config(tmp_path, tmp_path / "tiny.onnx")).text
    assert padded
    assert alone
    texts = [padded.tokenise(text) for text in ("red", "blue rain boots")]
    assert np.allclose(padded(texts), alone(texts), atol=1e-6)
