"""The examples, run as their readers would run them."""

import asyncio
import os
import sys
from pathlib import Path

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


async def test_a_parquet_manifest_is_indexed_by_dask(
    tmp_path: Path, embedder_config: Config, searcher: Server, project: str
) -> None:
    async with (
        colour_embedder.embedder(embedder_config, "dask") as embedder,
        Client(address(embedder), address(searcher)) as client,
    ):
        await client.delete_project(project)
        await client.create_project(project)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(EXAMPLES / "index_with_dask.py"), project, str(manifest(tmp_path))),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "LOOKALIKE_EMBEDDER": address(embedder), "LOOKALIKE_SEARCHER": address(searcher)},
        )
        output, _ = await process.communicate()
        said = output.decode().splitlines()
        assert said[-1] == "1 failed, 7 indexed", output.decode()
        assert said[-2].startswith("UNREADABLE: file:///")
        assert process.returncode == 1
        found = await client.get_project(project)
        assert (found.image_count, found.reference_count) == (6, 7)
        summer = [image async for image in client.list_images(project, filter=Filter(labels={"season": "summer"}))]
        assert len(summer) == 3  # red twice
