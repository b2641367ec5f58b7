"""Plain connections, as an attacker has them."""

import asyncio
import contextlib


async def until_gone(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection ends, however: a server that closes resets one that is still written to."""
    heard = b""
    with contextlib.suppress(ConnectionError):
        while more := await reader.read(4096):
            heard += more
    return heard
