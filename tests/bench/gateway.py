"""The gateway under test, as a process."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, NamedTuple


class Gateway(NamedTuple):
    """Where it serves, and its process."""

    url: str
    pid: int


@asynccontextmanager
async def gateway(embedder: str, searcher: str, log: IO[bytes]) -> AsyncIterator[Gateway]:
    """A gateway in front of the servers at these addresses, which goes with the block."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "lookalike",
        *("http", "--port", "0", "--embedder", embedder, "--searcher", searcher),
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("no pipe")
        url = (await process.stdout.readline()).decode().rpartition(" ")[2].strip()
        yield Gateway(url, process.pid)
    finally:
        process.terminate()
        await process.wait()
