"""A catalogue behind an unruly host, and everything that takes part in indexing killed with -9 in turn.

LOOKALIKE_TEST_SECONDS (see `tests.duration`) says how many are killed, one a second or so.
"""

import asyncio
import csv
import json
import os
import random
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import IO

import asyncpg
import numpy as np
import pytest
from PIL import Image

from lookalike import Client
from lookalike_searcher.database.statement import Connection, fill
from lookalike_searcher.projects import registry
from tests.consistency import audit
from tests.data_dir import initialised
from tests.duration import LONG, SECONDS
from tests.faulty_host import FaultyHost
from tests.pictures import encoded
from tests.polling import until
from tests.supervisor import SupervisedProcess, kill_postgres

IMAGES, DUPLICATES, BROKEN = (2_000, 200, 40) if LONG else (500, 50, 40)
KILLS = max(5, round(SECONDS))
_REFERENCES = (
    "SELECT reference.uri, image.sha256, vector.vector::text AS vector FROM {schema}.image_reference AS reference"
    " JOIN {schema}.image ON image.id = reference.image_id JOIN {vectors} AS vector ON vector.image_id = image.id"
)
pytestmark = pytest.mark.timeout(600 + 20 * SECONDS)


@dataclass
class Catalogue:
    """What the host has: files by path, and the reason why each broken one must fail."""

    files: dict[str, bytes] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def paths(self) -> list[str]:
        """Of all images, those that are not there too."""
        return sorted({*self.files, *self.broken})


def catalogue(dice: random.Random) -> Catalogue:
    made, noise = Catalogue(), np.random.default_rng(dice.randrange(1000))
    unique = IMAGES - DUPLICATES - BROKEN
    for number in range(unique):
        picture = Image.fromarray(noise.integers(0, 256, (16, 16, 3), np.uint8))
        made.files[f"/{number}.jpg"] = encoded(picture, "JPEG", quality=90)
    for number in range(unique, unique + DUPLICATES):
        made.files[f"/{number}.jpg"] = made.files[f"/{dice.randrange(unique)}.jpg"]
    for number in range(unique + DUPLICATES, IMAGES):
        path, good = f"/{number}.jpg", made.files["/0.jpg"]
        kind = {0: None, 1: b"", 2: b"no image", 3: good[: len(good) // 2] + bytes([number % 256])}[number % 4]
        made.broken[path] = ("HTTP_404", "EMPTY_IMAGE", "UNSUPPORTED_FORMAT", "CORRUPT_IMAGE")[number % 4]
        if kind is not None:
            made.files[path] = kind
    return made


@dataclass
class Site:
    """Two embedders and a searcher with its PostgreSQL, kept running."""

    data: Path
    embedders: list[SupervisedProcess]
    searcher: SupervisedProcess

    @property
    def environment(self) -> dict[str, str]:
        addresses = ",".join(embedder.address for embedder in self.embedders)
        return {"LOOKALIKE_EMBEDDER": f"ipv4:{addresses}", "LOOKALIKE_SEARCHER": self.searcher.address}

    async def kill_postgres(self) -> None:
        """The searcher then ends by itself."""
        await until(self.searcher.is_up)
        kill_postgres(self.data)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        """A connection to the database."""
        sockets = (self.data / "postgres" / "postmaster.pid").read_text().splitlines()[4]
        connection = await asyncpg.connect(f"postgresql://postgres@/postgres?host={sockets}")
        try:
            yield connection
        finally:
            await connection.close()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    data = initialised(tmp_path / "data")
    embedders = [
        SupervisedProcess("tests.thumbnail_embedder", log=tmp_path / f"embedder-{number}.log") for number in range(2)
    ]
    searcher = SupervisedProcess("lookalike_searcher", "--data-dir", str(data), log=tmp_path / "searcher.log")
    keeping = [asyncio.create_task(server.keep()) for server in (*embedders, searcher)]
    for server in (*embedders, searcher):
        await until(server.is_up)
    yield Site(data, embedders, searcher)
    for task in keeping:
        task.cancel()
    await asyncio.gather(*keeping, return_exceptions=True)


class Indexer:
    """Runs of `lookalike index` on a manifest, one after the other."""

    def __init__(self, site: Site, project: str, manifest: Path, folder: Path) -> None:
        self._site, self._project, self._manifest = site, project, manifest
        self.failures = folder / f"{project}-failures.jsonl"
        self._log = folder / f"{project}.log"
        self._process: asyncio.subprocess.Process | None = None
        self.codes: list[int] = []

    async def run(self) -> int:
        """One run; its exit code."""
        flags = ("--failures", str(self.failures), "--fetch-timeout", "3", "--per-host", "16")
        with self._log.open("ab") as log:
            self._process = await _started(log, self._site, "index", self._project, str(self._manifest), *flags)
            self.codes.append(await self._process.wait())
        return self.codes[-1]

    async def finish(self) -> int:
        """Begin again until a run could go on to its end, as whatever schedules jobs does; its exit code."""
        while await self.run() == 2:
            pass
        return self.codes[-1]

    async def repeat(self) -> None:
        """Begin again whenever a run has ended, however it has, until cancelled."""
        try:
            while True:
                await self.run()
        finally:
            await self.kill()

    async def kill(self) -> None:
        """Whatever it is doing."""
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


async def _started(log: IO[bytes], site: Site, *arguments: str) -> asyncio.subprocess.Process:
    command = [str(Path(sys.executable).parent / "lookalike"), *arguments]
    environment = {**os.environ, **site.environment}
    return await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env=environment)


async def stored(connection: Connection, name: str) -> dict[str, tuple[bytes, str]]:
    """The image and the vector that each URI of the project shows, each once."""
    project = await registry.read(connection, name)
    rows = await connection.fetch(fill(_REFERENCES, project.id, project.serving.id))
    found = {row["uri"]: (row["sha256"], row["vector"]) for row in rows}
    assert len(found) == len(rows)
    return found


async def served(host: FaultyHost, requests: int) -> bool:
    return host.requests >= requests


async def storm(site: Site, indexer: Indexer, host: FaultyHost, dice: random.Random) -> None:
    """Let an indexer run again and again, and kill something whenever it has come a little further."""
    first, second = site.embedders
    targets = (indexer.kill, first.kill, second.kill, site.searcher.kill, site.kill_postgres)
    victims = [targets[number % len(targets)] for number in range(KILLS)]
    dice.shuffle(victims)
    running_ = asyncio.create_task(indexer.repeat())
    for kill in victims:
        enough = host.requests + dice.randint(50, 600 if LONG else 120)
        await until(partial(served, host, enough))
        await kill()
    running_.cancel()
    await asyncio.gather(running_, return_exceptions=True)


def reasons(failures: Path) -> dict[str, str]:
    """The reason of each failure in the file, by URI."""
    rows = [json.loads(line) for line in failures.read_text().splitlines()]
    found = {row["uri"]: row["_reason"] for row in rows}
    assert len(found) == len(rows)
    return found


def written(manifest: Path, host: FaultyHost, paths: list[str]) -> None:
    with manifest.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["uri", "product"])
        rows.writerows((f"http://127.0.0.1:{host.port}{path}", path.strip("/")) for path in paths)


def good(files: Mapping[str, bytes], broken: Mapping[str, str], base: str) -> dict[str, bytes]:
    return {base + path: sha256(data).digest() for path, data in files.items() if path not in broken}


async def test_whatever_is_killed_everything_good_is_indexed_once_and_everything_broken_is_reported(
    site: Site, tmp_path: Path
) -> None:
    dice = random.Random(5)  # noqa: S311 - no secret
    made = catalogue(dice)
    host = FaultyHost(made.files, seed=5, share=0.02)
    async with host.serving(), Client(site.embedders[0].address, site.searcher.address) as client:
        base = f"http://127.0.0.1:{host.port}"
        written(tmp_path / "manifest.csv", host, made.paths())
        await client.create_project("shop")
        await client.create_project("quiet")

        indexer = Indexer(site, "shop", tmp_path / "manifest.csv", tmp_path)
        await storm(site, indexer, host, dice)
        assert -9 in indexer.codes
        assert host.troubles
        host.calm_down()
        assert await indexer.finish() == 1
        quiet = Indexer(site, "quiet", tmp_path / "manifest.csv", tmp_path)
        assert await quiet.finish() == 1

        for run in (indexer, quiet):
            assert reasons(run.failures) == {base + path: reason for path, reason in made.broken.items()}
        async with site.connected() as connection:
            await audit(connection, "shop")
            shown = await stored(connection, "shop")
            assert {uri: digest for uri, (digest, _) in shown.items()} == good(made.files, made.broken, base)
            assert shown == await stored(connection, "quiet")
        found = await client.get_project("shop")
        assert (found.image_count, found.reference_count) == (IMAGES - DUPLICATES - BROKEN, IMAGES - BROKEN)
