"""Fetch small pictures of the photos that were copied, for a report."""

import asyncio
from collections.abc import Iterable
from typing import Final

from lookalike.client import Client
from lookalike.errors import NotFoundError
from lookalike.records import Suspect

_AT_ONCE: Final = 8


async def of_copied(client: Client, project: str, suspects: Iterable[Suspect]) -> dict[str, bytes]:
    """Return the thumbnail of each photo that was copied, by its hash; empty where it has none."""
    hashes = list(dict.fromkeys(hit.sha256 for suspect in suspects for hit in suspect.copies))
    found: dict[str, bytes] = {}
    for first in range(0, len(hashes), _AT_ONCE):
        some = hashes[first : first + _AT_ONCE]
        found |= zip(some, await asyncio.gather(*(_thumbnail(client, project, sha256) for sha256 in some)), strict=True)
    return found


async def _thumbnail(client: Client, project: str, sha256: str) -> bytes:
    try:
        return await client.get_thumbnail(project, sha256)
    except NotFoundError:  # it was deleted since
        return b""
