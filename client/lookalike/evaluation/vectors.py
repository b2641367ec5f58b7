"""Embed photos and their copies, and measure how long an embedder takes."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lookalike._concurrency.task_group import task_group
from lookalike._operations import photo as photos
from lookalike._transport.retry import with_retries
from lookalike.client import Client
from lookalike.errors import InvalidRequestError, UnreadableImageError
from lookalike.evaluation import alterations
from lookalike.evaluation.labels import LeftOut, Photo
from lookalike.evaluation.ranking import Vectors
from lookalike.ranking_metrics import Floats

_CONCURRENCY: Final = 8
_TIMED: Final = 16

AdvanceCallback = Callable[[int], object]
"""A function that is called with the number of images that were done since the last call."""


@dataclass(frozen=True)
class EmbeddingSpeed:
    """EmbeddingSpeed holds the speed of an embedder, with photos that are not in its cache.

    Attributes:
        median_seconds: the median time of one image that is sent alone.
        images_per_second: the rate with eight images sent at once.
    """

    median_seconds: float
    images_per_second: float


async def embed_all(
    client: Client, chosen: Sequence[Photo], advance: AdvanceCallback
) -> tuple[dict[str, Vectors], list[LeftOut]]:
    """Return the vectors of photos by name, and the photos that the embedder refuses.

    Raises:
        LookalikeError: the embedder failed for another reason than a bad photo.
    """
    vectors: dict[str, Vectors] = {}
    refused = []

    async def embed(photo: Photo) -> None:
        try:
            vectors[photo.name] = await _vector(client, photo.path)
        except (InvalidRequestError, UnreadableImageError) as error:
            refused.append(LeftOut(photo.name, str(error)))
        advance(1)

    await _each(embed, chosen)
    return vectors, refused


async def copy_similarities(
    client: Client, chosen: Sequence[Photo], vectors: Vectors, advance: AdvanceCallback
) -> dict[str, Floats]:
    """Return the similarities of photos and their copies, by alteration.

    Photos that cannot be decoded here are left out.

    Args:
        client: the client of the embedder.
        chosen: the photos to copy.
        vectors: the vectors of the photos, of shape (photos, dimensions).
        advance: a function that is called with the number of images that were done.
    """
    similarities: dict[str, list[float]] = {name: [] for name in alterations.ALTERATIONS}
    for photo, vector in zip(chosen, vectors, strict=True):
        try:
            copies = await asyncio.to_thread(alterations.copies, photos.read(photo.path))
        except Exception:
            advance(len(similarities))
            continue

        async def compare(copy: tuple[str, bytes], vector: Any = vector) -> None:  # noqa: ANN401 - an array's row
            name, data = copy
            similarities[name].append(float(await _vector(client, data) @ vector))
            advance(1)

        await _each(compare, list(copies.items()))
    return {name: np.array(values) for name, values in similarities.items()}


async def measure_speed(client: Client, chosen: Sequence[Photo]) -> EmbeddingSpeed | None:
    """Measure the speed of the embedder with photos like these; return None if none can be decoded here."""
    files = [data async for data in _uncached(chosen)]
    if not files:
        return None
    seconds = []
    for data in files[: len(files) // 2 + 1]:
        began = time.perf_counter()
        await client.embed(data)
        seconds.append(time.perf_counter() - began)
    files = [data async for data in _uncached(chosen)]
    began = time.perf_counter()
    await _each(lambda data: _vector(client, data), files)
    return EmbeddingSpeed(float(np.median(seconds)), len(files) / (time.perf_counter() - began))


async def _uncached(chosen: Sequence[Photo]) -> AsyncIterator[bytes]:
    """Yield some of the photos as files with new bytes, which no cache can hold."""
    for photo in random.Random(0).sample(chosen, min(_TIMED, len(chosen))):  # noqa: S311 - no secret
        try:
            decoded = await asyncio.to_thread(alterations.upright, photos.read(photo.path))
        except Exception:  # noqa: S112 - decoders raise errors of any type; the other photos are enough
            continue
        yield alterations.saved(decoded, comment=os.urandom(8))


async def _vector(client: Client, image: bytes | Path) -> Any:  # noqa: ANN401 - an array
    """Return an image's vector. Whoever evaluates has time: where the embedder is busy, we come back."""
    return np.array((await with_retries(lambda: client.embed(image))).values, np.float32)


async def _each(work: Callable[[Any], Any], items: Sequence[Any]) -> None:
    slots = asyncio.Semaphore(_CONCURRENCY)

    async def run(item: object) -> None:
        async with slots:
            await work(item)

    async with task_group() as group:
        for item in items:
            group.create_task(run(item))
