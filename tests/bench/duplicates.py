"""How long the duplicates of a project take to find, and whether all are: compared, verified, through the index."""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
import psutil
from PIL import Image

from lookalike_searcher.config import Config
from lookalike_searcher.copies.comparison_threads import ComparisonThreads
from lookalike_searcher.database import halfvec, postgres
from lookalike_searcher.database import pool as databases
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import schema_of, vectors_of
from lookalike_searcher.duplicates.duplicates import Duplicates
from lookalike_searcher.duplicates.query import DuplicateQuery
from lookalike_searcher.duplicates.survey import Counts
from lookalike_searcher.indexes.maintenance import Maintenance
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Limits
from lookalike_serving.fingerprint import NAME, Fingerprint, making
from tests.pictures import shipped

_COPIES: Final = 0.05
"""Share of the images that are near duplicates of another."""
_BATCH: Final = 10_000

Pair = tuple[int, int]


async def measure(database: Database, project: str, images: int) -> float:
    """Seconds that all clusters of the project take to find by the cosine, which has so many images."""
    seconds, _, _ = await _found(Duplicates(database, ComparisonThreads(2)), DuplicateQuery(project), images)
    return seconds


async def _found(duplicates: Duplicates, query: DuplicateQuery, images: int) -> tuple[float, set[Pair], Counts | None]:
    """The seconds, the pairs of an image with its nearest fellow, and what became of the near pairs."""
    began, pairs, examined, counts = time.perf_counter(), set[Pair](), 0, None
    async for progress in duplicates.find(query):
        examined, counts = progress.place.examined, progress.counts
        for member in progress.cluster.members if progress.cluster else ():
            if member.fellow:
                one, other = sorted((member.image.id, member.fellow.image_id))
                pairs.add((one, other))
    assert examined == images, f"examined {examined} of {images} images"
    return time.perf_counter() - began, pairs, counts


async def fill(database: Database, project: str, images: int) -> set[Pair]:
    """Make a project of so many images with planted near duplicates: the pairs."""
    created = await registry.create(database, project, "bench", Limits())
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(images)
    copies = int(images * _COPIES)
    pairs = {
        tuple(sorted(pair))
        for pair in zip(shuffled[:copies].tolist(), shuffled[copies : 2 * copies].tolist(), strict=True)
    }
    vectors = _vectors(rng, images)
    for original, copy in pairs:
        vectors[copy] = _near(rng, vectors[original])
    schema, table = schema_of(created.id), vectors_of(created.serving.id)
    async with database.writing() as connection:
        for start in range(0, images, _BATCH):
            numbers = range(start, min(images, start + _BATCH))
            columns = ["sha256", "width", "height"]
            records: list[tuple[object, ...]] = [(number.to_bytes(32), 0, 0) for number in numbers]
            await connection.copy_records_to_table("image", schema_name=schema, columns=columns, records=records)
            records = [(number + 1, f"https://shop/{number}.jpg", "", "", False, "{}") for number in numbers]
            columns = ["image_id", "uri", "product", "variant", "staged", "labels"]
            await connection.copy_records_to_table(
                "image_reference", schema_name=schema, columns=columns, records=records
            )
            halves = halfvec.encode(vectors[numbers.start : numbers.stop])
            records = [(number + 1, half) for number, half in zip(numbers, halves, strict=True)]
            await connection.copy_records_to_table(
                table, schema_name=schema, columns=["image_id", "vector"], records=records
            )
        sql = "UPDATE lookalike_project SET image_count = $2, reference_count = $2 WHERE id = $1"
        await connection.execute(sql, created.id, images)
    return {(original + 1, copy + 1) for original, copy in pairs}


def _vectors(rng: np.random.Generator, images: int) -> np.ndarray:
    """Vectors of length 1 about as alike as those of photos: cosines around .45, and few directions that tell most."""
    scales = (np.arange(512) + 3) ** -0.65
    axes, _ = np.linalg.qr(rng.normal(size=(512, 512)))
    vectors = np.empty((images, 512), np.float32)
    for start in range(0, images, _BATCH):
        part = vectors[start : start + _BATCH]
        part[:] = (rng.normal(size=part.shape) * scales) @ axes
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    vectors += 0.9 * axes[:, 0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _near(rng: np.random.Generator, original: np.ndarray) -> np.ndarray:
    """A vector with a cosine to the original of .955 to .9995."""
    aside = rng.normal(size=512)
    aside -= (aside @ original) * original
    cosine = rng.uniform(0.955, 0.9995)
    return np.asarray(cosine * original + np.sqrt(1 - cosine**2) * aside / np.linalg.norm(aside))


async def fingerprint(database: Database, project: str, planted: set[Pair]) -> None:
    """Give every other planted pair the fingerprints of a photo and its copy, and the rest those of two photos."""
    found = await registry.get(database, project)
    names = ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg")
    photos = [shipped(name) for name in names]
    made = [_made(photo) for photo in photos]
    copies = [_made(photo.resize((photo.width // 2, photo.height // 2))) for photo in photos]
    records: list[tuple[object, ...]] = []
    for number, (one, other) in enumerate(sorted(planted)):
        theirs = copies[(number // 2 + number % 2) % len(names)]  # of each second pair, it is the next photo's
        own = made[number // 2 % len(names)]
        records += [(image, NAME, kept.picture, kept.keypoints) for image, kept in ((one, own), (other, theirs))]
    async with database.writing() as connection:
        columns = ["image_id", "version", "picture", "keypoints"]
        await connection.copy_records_to_table(
            "fingerprint", schema_name=schema_of(found.id), columns=columns, records=records
        )


def _made(photo: Image.Image) -> Fingerprint:
    return making.make(np.asarray(photo), *photo.size)


async def main(images: int, data: Path) -> None:
    """Fill a database of its own, measure all ways, print."""
    with postgres.embedded(data) as embedded:
        async with databases.connect(embedded.url, pool_size=4, command_timeout=600) as database:
            planted = await fill(database, "bench", images)
            async with ComparisonThreads(2) as threads:
                compared = Duplicates(database, threads, exact_up_to=images)
                await _show("compared", compared, DuplicateQuery("bench"), images, planted)
                await fingerprint(database, "bench", planted)
                verified = {pair for number, pair in enumerate(sorted(planted)) if not number % 2}
                await _show("verified", compared, DuplicateQuery("bench", verify=True), images, verified)
                began = time.perf_counter()
                config = Config(data_dir=data, exact_threshold=1, build_patience=0)
                await Maintenance(config, database, Metrics()).once()
                ef_search = (await registry.get(database, "bench")).serving.ef_search(10)
                seconds = time.perf_counter() - began
                print(f"index built in {seconds:.1f} s; hnsw.ef_search {ef_search} for ten hits")
                walked = Duplicates(database, threads, exact_up_to=0)
                await _show("through the index", walked, DuplicateQuery("bench"), images, planted)


async def _show(way: str, duplicates: Duplicates, query: DuplicateQuery, images: int, planted: set[Pair]) -> None:
    process, before = psutil.Process(), psutil.Process().memory_info().rss
    most = before

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    seconds, found, counts = await _found(duplicates, query, images)
    watching.cancel()
    pairs = f"{len(found & planted):,} of {len(planted):,} planted pairs, {len(found - planted):,} others"
    print(f"{way}: {seconds:.1f} s, {pairs}; {(most - before) / 1e6:.0f} MB more than before at the most; {counts}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(parser.parse_args().images, Path(folder)))
