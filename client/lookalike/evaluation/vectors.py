"""Vectors of photos and of their copies, and how long an embedder takes for one."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lookalike._concurrency.task_group import together
from lookalike._operations import photo as photos
from lookalike.client import Client
from lookalike.errors import InvalidRequestError, UnreadableImageError
from lookalike.evaluation import alterations
from lookalike.evaluation.labels import LeftOut, Photo
from lookalike.evaluation.ranking import Vectors
from lookalike.ranking_metrics import Floats

_AT_ONCE: Final = 8
_TIMED: Final = 16

Advance = Callable[[int], object]
"""Is told how many images more are done."""


@dataclass(frozen=True)
class Pace:
    """How quick an embedder is, with photos that it has never seen: none is in its cache.

    Attributes:
        median_seconds: of one image, sent alone.
        images_per_second: with eight sent at once.
    """

    median_seconds: float
    images_per_second: float


async def embedded(
    client: Client, chosen: Sequence[Photo], advance: Advance
) -> tuple[dict[str, Vectors], list[LeftOut]]:
    """The photos' vectors by name, and those photos that the embedder refuses. Raises LookalikeError for all else."""
    found: dict[str, Vectors] = {}
    refused = []

    async def one(photo: Photo) -> None:
        try:
            found[photo.name] = np.array((await client.embed(photo.path)).values, np.float32)
        except (InvalidRequestError, UnreadableImageError) as error:
            refused.append(LeftOut(photo.name, str(error)))
        advance(1)

    await _each(one, chosen)
    return found, refused


async def copies(client: Client, chosen: Sequence[Photo], vectors: Vectors, advance: Advance) -> dict[str, Floats]:
    """By alteration, the similarities of photos and their copies; of photos that cannot be decoded here there are none.

    Args:
        client: embeds.
        chosen: the photos.
        vectors: theirs: (photos, dimensions).
        advance: is told what is done.
    """
    found: dict[str, list[float]] = {name: [] for name in alterations.ALTERATIONS}
    for photo, vector in zip(chosen, vectors, strict=True):
        try:
            made = await asyncio.to_thread(alterations.copies, photos.read(photo.path))
        except Exception:
            advance(len(found))
            continue

        async def one(copy: tuple[str, bytes], vector: Any = vector) -> None:  # noqa: ANN401 - an array's row
            values = np.array((await client.embed(copy[1])).values, np.float32)
            found[copy[0]].append(float(values @ vector))
            advance(1)

        await _each(one, list(made.items()))
    return {name: np.array(similarities) for name, similarities in found.items()}


async def pace(client: Client, chosen: Sequence[Photo]) -> Pace | None:
    """How quick the embedder is with photos like these; None if none can be read here."""
    some = [data async for data in _fresh(chosen)]
    if not some:
        return None
    alone = []
    for data in some[: len(some) // 2 + 1]:
        began = time.perf_counter()
        await client.embed(data)
        alone.append(time.perf_counter() - began)
    again = [data async for data in _fresh(chosen)]
    began = time.perf_counter()
    await _each(client.embed, again)
    return Pace(float(np.median(alone)), len(again) / (time.perf_counter() - began))


async def _fresh(chosen: Sequence[Photo]) -> AsyncIterator[bytes]:
    """Some of the photos as files that nobody has seen before."""
    for photo in random.Random(0).sample(chosen, min(_TIMED, len(chosen))):  # noqa: S311 - no secret
        try:
            opened = await asyncio.to_thread(alterations.upright, photos.read(photo.path))
        except Exception:  # noqa: S112 - as above; the others will do
            continue
        yield alterations.saved(opened, comment=os.urandom(8))


async def _each(work: Callable[[Any], Any], items: Sequence[Any]) -> None:
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(item: object) -> None:
        async with places:
            await work(item)

    async with together() as group:
        for item in items:
            group.create_task(one(item))
