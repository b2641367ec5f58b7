"""Compute the hashes of images without keeping the event loop busy."""

import asyncio
import hashlib
from typing import Final

_HASHED_HERE: Final = 256 * 1024
"""Bytes that are hashed on the event loop: a trip to a thread would take as long."""


async def sha256_of(data: bytes) -> bytes:
    """Return the hash of an image; a large one is hashed in a thread."""
    here = len(data) <= _HASHED_HERE
    return (hashlib.sha256(data) if here else await asyncio.to_thread(hashlib.sha256, data)).digest()
