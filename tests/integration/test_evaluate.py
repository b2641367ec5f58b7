"""`lookalike evaluate` over real servers whose embedders see colours, so that it is known what is like what."""

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lookalike import Client, Item, LookalikeError
from lookalike._transport import retry
from lookalike.evaluation import labels
from lookalike.evaluation.change import bytes_per_image
from lookalike.evaluation.served import Served
from lookalike.evaluation.settings import Settings
from lookalike.evaluation.study import evaluate
from lookalike_embedder.config import Config
from lookalike_serving.server import Server
from tests import colour_embedder
from tests.command_line import CommandLine
from tests.integration.conftest import address
from tests.pictures import jpeg

WARM, COLD = ("red", "crimson", "tomato", "plum"), ("blue", "navy", "royalblue", "maroon")


class Bench(NamedTuple):
    """Two embedders of different spaces, a searcher, and a project that holds the photos in the first one's space."""

    clients: tuple[Client, Client]
    addresses: tuple[str, str, str]
    project: str
    file: Path


@pytest.fixture(scope="module")
async def bench(
    embedder_config: Config, searcher: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    """Maroon is called cold, so that something is wrong; one photo is broken."""
    folder, name = tmp_path_factory.mktemp("photos"), f"test-{uuid.uuid4().hex[:12]}"
    rows = [(f"{colour}.jpg", label) for label, own in (("warm", WARM), ("cold", COLD)) for colour in own]
    for path, _ in rows:
        (folder / path).write_bytes(jpeg(colour=path.removesuffix(".jpg")))
    (folder / "broken.jpg").write_bytes(b"no photo")
    text = "".join(f"{path},{label}\n" for path, label in [*rows, ("broken.jpg", "cold")])
    (folder / "labels.csv").write_text(f"path,label\n{text}")
    async with (
        colour_embedder.embedder(embedder_config, "a") as first,
        colour_embedder.embedder(embedder_config, "b") as second,
        Client(address(first), address(searcher)) as one,
        Client(address(second), address(searcher)) as other,
    ):
        await one.create_project(name)
        items = [Item(folder / path, path) for path, _ in rows] + [Item(jpeg(colour="orange"), "unlabelled")]
        assert not [outcome.error async for outcome in one.index(name, items) if outcome.error]
        yield Bench((one, other), (address(first), address(second), address(searcher)), name, folder / "labels.csv")
        await one.delete_project(name)


async def test_two_embedders_and_a_project_side_by_side(bench: Bench, commands: CommandLine, tmp_path: Path) -> None:
    """What is served is the same ranking, although the project holds a photo more; nothing was written to it."""
    first, second, searcher = bench.addresses
    done = await commands.ask(
        *("evaluate", bench.file, "--embedder", first, "--embedder", second, "--searcher", searcher),
        *("--project", bench.project, "--exact", "--copied", "2", "--report", tmp_path / "report.html", "--json"),
    )
    assert done.code == 0, done.errors
    found = json.loads(done.output)
    spaces = [(await client.model()).space for client in bench.clients]
    assert [side["name"] for side in found["sides"]] == [*spaces, f"{spaces[0]} as {bench.project} serves it"]
    ours, others, served = (side["figures"] for side in found["sides"])
    assert 0.5 < ours["map"] < 1
    assert 0.5 <= ours["p_at_1"] < 1
    for name in ("map", "p_at_1", "hit_at_5", "recall_at_5", "ndcg_at_5"):
        assert served[name] == pytest.approx(ours[name]) == pytest.approx(others[name])
    assert 0 < served["search_p50_ms"] <= served["search_p99_ms"]
    assert found["sides"][2]["ranking"] == "exact search over 9 images, exact=True"
    assert ours["near_duplicate_auc"] > 0.5
    assert found["sides"][0]["copies_found_by_alteration"]["jpeg-30"] == 1
    assert found["left_out"] == [{"path": "broken.jpg", "why": f"not indexed in the project {bench.project}"}]
    assert "left out  broken.jpg" in done.errors
    assert "warm" in (tmp_path / "report.html").read_text()
    assert (await bench.clients[0].get_project(bench.project)).image_count == 9
    assert [side["figures"]["images_to_change"] for side in found["sides"]] == [0, 9, 0]
    assert others["hours_to_change"] == pytest.approx(9 / others["embed_images_per_second"] / 3600)
    dimensions = (await bench.clients[1].model()).dimensions
    assert (others["dimensions"], others["bytes_to_change"]) == (dimensions, 9 * bytes_per_image(dimensions))
    assert (ours["bytes_to_change"], "hours_to_change" in served) == (0, False)


async def test_the_table_names_what_was_measured_and_a_broken_photo_is_not_fatal(
    bench: Bench, commands: CommandLine
) -> None:
    done = await commands.ask("evaluate", bench.file, "--embedder", bench.addresses[0], "--copied", "0")
    assert done.code == 0, done.errors
    for said in (
        "mAP",
        "P@1",
        "recall@10",
        "nDCG@10",
        "embedding, p50, ms",
        "hours, a million images",
        "8 photos of 2 labels",
    ):
        assert said in done.output
    assert "Near duplicates" not in done.output
    assert "left out  broken.jpg: " in done.errors


async def test_a_file_that_cannot_be_evaluated_is_one_sentence(
    bench: Bench, commands: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "labels.csv").write_text("file,label\n")
    done = await commands.ask("evaluate", tmp_path / "labels.csv", "--embedder", bench.addresses[0])
    assert (done.code, done.output) == (2, "")
    assert "has no column `uri`; its columns are file, label; `file` may be it: use --column uri=file" in done.errors
    assert "Traceback" not in done.errors


async def test_options_of_a_search_are_passed_through(bench: Bench) -> None:
    """A least similarity, for one, shortens the rankings: what is not found lowers recall."""
    labelled = labels.read(bench.file)
    served = [Served(bench.clients[0], bench.project, options=options) for options in ({}, {"min_similarity": 0.999})]
    found = await evaluate(labelled, served=served, settings=Settings(copied=0))
    assert found.sides[1].name == f"{found.sides[0].name} (2)"
    every, strict = (side.figures()["recall_at_50"] for side in found.sides)
    assert every == 1
    assert strict < every


async def test_what_is_not_there_is_a_clear_failure(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    labelled = labels.read(bench.file)
    with pytest.raises(LookalikeError, match="nowhere"):
        await evaluate(labelled, served=[Served(bench.clients[0], "nowhere")])
    with pytest.raises(ValueError, match="name an embedder or a project"):
        await evaluate(labelled)
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.5)
    async with Client("127.0.0.1:1", timeout=0.5) as nobody:
        with pytest.raises(LookalikeError):
            await evaluate(labelled, [nobody])
