"""Real descriptors: of photos, and of altered copies of some, made by the real embedder and kept in a cache."""

import asyncio
import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, NamedTuple

import numpy as np
from PIL import Image

from lookalike import Client
from lookalike.demo.copies import make_copies
from lookalike.demo.photos import photos_in, shipped_photos
from lookalike.processes import running
from lookalike_embedder import projection
from lookalike_embedder.space import space_of
from tests.bench.setting import CACHE_DIR, trunk
from tests.bench.synthetic_vectors import Vectors

_MOST: Final = 10_000
_CUTTINGS: Final = 20
_COPIED: Final = 20
_AT_ONCE: Final = 8


class Descriptors(NamedTuple):
    """Of photos, and of copies of them as somebody makes them who takes another's photo; the space of both."""

    photos: Vectors
    altered: Vectors
    space: str


async def descriptors(photos: Path | None, folder: Path, log: IO[bytes]) -> Descriptors:
    """The descriptors of the photos that the demo ships and of a folder's, or else of twenty cuttings of each shipped.

    Embedded once: a tenth of a second each, or what this machine takes.

    Args:
        photos: the folder.
        folder: where cuttings and copies are written.
        log: where the embedder's log goes.
    """
    shipped = shipped_photos()
    others = photos_in(photos, _MOST) if photos else cuttings(shipped, folder)
    originals = [*shipped, *others]
    space = space_of(trunk().sha256, projection=projection.shipped().sha256)
    kept = CACHE_DIR / "bench" / f"descriptors-{_digest(originals, space)}.npz"
    if not kept.exists():
        copied = random.Random(0).sample(originals, min(_COPIED, len(originals)))  # noqa: S311 - no secret
        copies = [path for n, photo in enumerate(copied) for path in make_copies(photo, folder / f"{n}").values()]
        print(f"embedding {len(originals)} photos and {len(copies)} altered copies, once: they are kept in {kept}")
        vectors = await _embedded([*originals, *copies], log)
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, photos=vectors[: len(originals)], altered=vectors[len(originals) :])
    with np.load(kept) as arrays:
        return Descriptors(arrays["photos"], arrays["altered"], space)


def _digest(paths: Sequence[Path], space: str) -> str:
    digest = hashlib.sha256(space.encode())
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def cuttings(photos: Sequence[Path], folder: Path) -> list[Path]:
    """Windows of the photos, 30 to 70 % of their width and height, anywhere in them."""
    choice = random.Random(0)  # noqa: S311 - no secret
    made = []
    for number, photo in enumerate(photos):
        with Image.open(photo) as opened:
            whole = opened.convert("RGB")
        for cutting in range(_CUTTINGS):
            width, height = (max(32, int(side * choice.uniform(0.3, 0.7))) for side in whole.size)
            left, top = choice.randint(0, whole.width - width), choice.randint(0, whole.height - height)
            made.append(folder / f"cutting-{number}-{cutting}.jpg")
            made[-1].parent.mkdir(parents=True, exist_ok=True)
            whole.crop((left, top, left + width, top + height)).save(made[-1], "JPEG", quality=92)
    return made


async def _embedded(paths: Sequence[Path], log: IO[bytes]) -> Vectors:
    places = asyncio.Semaphore(_AT_ONCE)
    arguments = ["--port", "0", "--metrics-port", "0"]
    async with (
        running("lookalike_embedder", arguments, log) as server,
        Client(embedder=server.address, timeout=120) as client,
    ):

        async def one(path: Path) -> Sequence[float]:
            async with places:
                return (await client.embed(path)).values

        return np.array(await asyncio.gather(*map(one, paths)), np.float32)
