"""Another model beside VGG16 in one project, with real servers: filled, compared, cut over to, and left again."""

import subprocess
import sys
from pathlib import Path

from lookalike import Client, Item
from lookalike.processes import running
from tests.data_dir import initialised
from tests.onnx_files import write
from tests.pictures import jpeg

PHOTOS = [jpeg(64, 48, colour) for colour in ("teal", "orange", "purple", "gold")]


def items() -> list[Item]:
    return [Item(image=photo, uri=f"{number}.jpg", product=f"p{number}") for number, photo in enumerate(PHOTOS)]


async def fill(client: Client) -> None:
    outcomes = [outcome async for outcome in client.index("shop", items())]
    assert len(outcomes) == len(PHOTOS)
    assert not [outcome.error for outcome in outcomes if outcome.error]


async def found(client: Client) -> list[float]:
    """The similarity of each photo to itself, which must come first."""
    similarities = []
    for number, photo in enumerate(PHOTOS):
        [first, *_] = (await client.search("shop", image=photo)).hits
        assert first.references[0].uri == f"{number}.jpg"
        similarities.append(first.similarity)
    return similarities


async def test_a_model_of_384_dimensions_beside_vgg16(tmp_path: Path) -> None:
    model = write(tmp_path, 384)
    data = ["--port", "0", "--data-dir", str(initialised(tmp_path / "data"))]
    async with (
        running("lookalike_searcher", data) as searcher,
        running("lookalike_embedder", ["--port", "0"]) as vgg16,
        running("lookalike_embedder", ["--port", "0", "--model", str(model)]) as other,
        Client(vgg16.address, searcher.address) as before,
        Client(other.address, searcher.address) as after,
    ):
        old, new = (await before.model()).space, (await after.model()).space
        await before.create_project("shop")
        await fill(before)
        await after.create_space("shop")
        await fill(after)
        compared = await before.compare_spaces("shop", new)
        assert compared.sample_count == len(PHOTOS)
        for client, space in ((after, new), (before, old)):
            await client.cut_over_space("shop", space)
            assert min(await found(client)) > 0.999
    assert [server.process.returncode for server in (vgg16, other)] == [0, 0], "one that is told to end ends cleanly"


def test_what_is_wrong_with_a_model_is_said_at_start(tmp_path: Path) -> None:
    model = write(tmp_path, changes={"input__size": "64"})
    command = [sys.executable, "-m", "lookalike_embedder", "--port", "0", "--model", str(model)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "must take [n, 3, 64, 64]" in done.stderr
    assert "line 5: size = 64" in done.stderr
