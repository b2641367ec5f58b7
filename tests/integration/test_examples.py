"""The examples, run as their readers would run them."""

import asyncio
import os
import sys
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from lookalike import Client, Filter
from lookalike_embedder.config import Config
from lookalike_serving.server import Server
from tests import colour_embedder
from tests.integration.conftest import address
from tests.pictures import jpeg

EXAMPLES = Path(__file__).parents[2] / "examples"
COLOURS = ("red", "green", "blue", "grey", "gold", "navy")


def manifest(folder: Path) -> Path:
    """Six photos, two of which are one, and one that is missing, in row groups of two."""
    for colour in COLOURS:
        (folder / f"{colour}.jpg").write_bytes(jpeg(colour=colour))
    (folder / "again.jpg").write_bytes(jpeg(colour="red"))
    names = [*COLOURS, "again", "missing"]
    table = pa.table(
        {
            "uri": [(folder / f"{name}.jpg").as_uri() for name in names],
            "product": [f"p{number}" for number in range(len(names))],
            "season": ["summer", None] * 4,
        }
    )
    parquet.write_table(table, folder / "manifest.parquet", row_group_size=2)
    return folder / "manifest.parquet"


async def run(name: str, *arguments: str, **variables: str) -> tuple[int | None, list[str]]:
    """An example's exit code, and the lines that it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLES / name), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **variables},
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode().splitlines()


async def test_a_parquet_manifest_is_indexed_by_dask(
    tmp_path: Path, embedder_config: Config, searcher: Server, project: str
) -> None:
    async with (
        colour_embedder.embedder(embedder_config, "dask") as embedder,
        Client(address(embedder), address(searcher)) as client,
    ):
        await client.delete_project(project)
        await client.create_project(project)
        servers = {"LOOKALIKE_EMBEDDER": address(embedder), "LOOKALIKE_SEARCHER": address(searcher)}
        code, said = await run("index_with_dask.py", project, str(manifest(tmp_path)), **servers)
        assert said[-1] == "1 failed, 7 indexed", said
        assert said[-2].startswith("UNREADABLE: file:///")
        assert code == 1
        found = await client.get_project(project)
        assert (found.image_count, found.reference_count) == (6, 7)
        summer = [image async for image in client.list_images(project, filter=Filter(labels={"season": "summer"}))]
        assert len(summer) == 3  # red twice


async def test_vectors_of_ones_own_are_indexed_without_an_embedder(tmp_path: Path, searcher: Server) -> None:
    """Also a second time, and beside a vector that no space can have."""
    vectors = np.eye(300, 384)
    vectors[7] = np.nan
    np.save(tmp_path / "vectors.npy", vectors)
    (tmp_path / "uris.txt").write_text("\n".join(f"https://shop/{number}.jpg" for number in range(300)))
    name = f"own-{uuid.uuid4().hex[:12]}"
    arguments = (name, str(tmp_path / "vectors.npy"), str(tmp_path / "uris.txt"), "--space", "own-384")
    servers = {"LOOKALIKE_SEARCHER": address(searcher)}
    for status in ("indexed", "unchanged"):
        code, said = await run("index_own_vectors.py", *arguments, **servers)
        assert (code, said[-4]) == (1, f"1 failed, 299 {status}"), said
        assert said[-5].startswith("INVALID_FIELD: https://shop/7.jpg: embedding.values: must be finite")
        assert said[-3] == "1.000 https://shop/0.jpg"
    async with Client("127.0.0.1:1", address(searcher)) as client:
        [space] = (await client.get_project(name)).spaces
        assert (space.name, space.dimensions, space.vector_count) == ("own-384", 384, 299)
        await client.delete_project(name)
