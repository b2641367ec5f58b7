"""Other models beside VGG16 in one project, with real servers: filled, compared, cut over to, and left again."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Client, Item
from lookalike.processes import running
from tests.data_dir import initialised
from tests.onnx_files import write
from tests.pictures import encoded


def photos() -> list[bytes]:
    """Two photos each of four products: the second one is the first one, saved in worse quality."""
    coarse = np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3), np.uint8)
    pictures = [Image.fromarray(one).resize((64, 48), Image.Resampling.BILINEAR) for one in coarse]
    return [encoded(picture, "JPEG", quality=quality) for picture in pictures for quality in (95, 70)]


PHOTOS = photos()


async def fill(client: Client) -> None:
    items = [Item(photo, f"{number}.jpg", f"p{number // 2}") for number, photo in enumerate(PHOTOS)]
    outcomes = [outcome async for outcome in client.index("shop", items)]
    assert len(outcomes) == len(PHOTOS)
    assert not [outcome.error for outcome in outcomes if outcome.error]


async def check(client: Client, project: str, space: str) -> None:
    """Each photo finds itself, and next the other one of its product."""
    for number, photo in enumerate(PHOTOS):
        found = await client.search(project, image=photo, limit=2)
        assert found.space == space
        assert [hit.references[0].product for hit in found.hits] == [f"p{number // 2}"] * 2
        assert found.hits[0].references[0].uri == f"{number}.jpg"
        assert found.hits[0].similarity > 0.999


@pytest.mark.timeout(300)
async def test_models_of_384_and_1024_dimensions_beside_vgg16(tmp_path: Path) -> None:
    data = ["--port", "0", "--data-dir", str(initialised(tmp_path / "data"))]
    embedder = ["--port", "0", "--model"]
    async with (
        running("lookalike_searcher", data) as searcher,
        running("lookalike_embedder", ["--port", "0"]) as vgg16,
        running("lookalike_embedder", [*embedder, str(write(tmp_path, 384, name="small"))]) as small,
        running("lookalike_embedder", [*embedder, str(write(tmp_path, 1024, name="large"))]) as large,
        Client(vgg16.address, searcher.address) as before,
        Client(small.address, searcher.address) as first,
        Client(large.address, searcher.address) as second,
    ):
        old = (await before.model()).space
        await before.create_project("shop")
        await fill(before)
        for client, dimensions in ((first, 384), (second, 1024)):
            new = (await client.model()).space
            await client.create_space("shop")
            await fill(client)
            await check(before, "shop", old)
            compared = await before.compare_spaces("shop", new, limit=1)
            assert (compared.sample_count, compared.other.same_product) == (len(PHOTOS), 1)
            await client.cut_over_space("shop", new)
            await check(client, "shop", new)
            clusters = [cluster async for cluster in client.find_duplicates("shop")]
            products = [{one.image.references[0].product for one in cluster.images} for cluster in clusters]
            assert sorted(map(sorted, products)) == [["p0"], ["p1"], ["p2"], ["p3"]]  # stored in any order
            adapted = (await client.adapt("shop", unlabelled=True)).space
            assert [one async for one in client.watch_space("shop", adapted)][-1].vector_count == len(PHOTOS)
            dimensions_of = {space.name: space.dimensions for space in (await client.get_project("shop")).spaces}
            assert dimensions_of[adapted] == dimensions_of[new] == dimensions
            await client.cut_over_space("shop", adapted)
            await check(client, "shop", adapted)
            await before.cut_over_space("shop", old)
            await check(before, "shop", old)
        await second.cut_over_space("shop", new)
        program = [sys.executable, "-m", "lookalike_searcher", "--data-dir", str(tmp_path / "data")]
        for command in (["backup", "shop", "saved"], ["restore", "saved", "--as", "copy"]):
            subprocess.run([*program, *command], cwd=tmp_path, check=True, capture_output=True)  # noqa: ASYNC221
        await check(second, "copy", new)
        assert len((await second.get_project("copy")).spaces) == 5
    ended = [server.process.returncode for server in (vgg16, small, large)]
    assert ended == [0, 0, 0], "one that is told to end ends cleanly"


def test_what_is_wrong_with_a_model_is_said_at_start(tmp_path: Path) -> None:
    model = write(tmp_path, changes={"input__size": "64"})
    command = [sys.executable, "-m", "lookalike_embedder", "--port", "0", "--model", str(model)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "must take [n, 3, 64, 64]" in done.stderr
    assert "line 5: size = 64" in done.stderr
