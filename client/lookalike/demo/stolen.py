"""Make a copy of a photo as people do who do not want to be found, and prove that it is one."""

import asyncio
from pathlib import Path
from typing import Final

from PIL import ImageOps

from lookalike import atomic_file
from lookalike.client import Client
from lookalike.evaluation.alterations import bordered, saved, upright
from lookalike.proofs import report, thumbnails
from lookalike.proofs.words import words
from lookalike.records import Hit, Item, Suspect

_NAME: Final = "stolen.jpg"
_QUALITY: Final = 55


async def prove(client: Client, project: str, photo: Path, output: Path) -> str:
    """Return what is found of a stolen photo; the picture and its report are written to `output`."""
    stolen = await asyncio.to_thread(_stolen, photo)
    atomic_file.write(output / _NAME, stolen)
    [suspect] = [suspect async for suspect in client.find_copies(project, [Item(stolen, _NAME)])]
    page = output / "copies.html"
    photos = await thumbnails.of_copied(client, project, [suspect])
    atomic_file.write(page, report.render(project, [suspect], photos))
    return f"{_described(suspect, photo)}; {page}"


def _stolen(photo: Path) -> bytes:
    """Mirror the photo, cut off a quarter of its width and a fifth of its height, frame it, and compress it."""
    mirrored = ImageOps.mirror(upright(photo.read_bytes()))
    width, height = mirrored.size
    return saved(bordered(12)(mirrored.crop((width // 4, height // 5, width, height))), quality=_QUALITY)


def _described(suspect: Suspect, photo: Path) -> str:
    if suspect.error:
        return f"{_NAME} could not be looked for: {suspect.error}"
    original = next((hit for hit in suspect.copies if _is(hit, photo)), None)
    if not (original and original.proof):
        return f"{_NAME} is not proven to be a copy of {photo.stem}"
    return f"{_NAME} is {photo.stem} ({original.proof.confidence:.0%} sure): {words(original.proof)}"


def _is(hit: Hit, photo: Path) -> bool:
    return any(reference.product == str(photo) and not reference.variant for reference in hit.references)
