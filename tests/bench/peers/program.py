"""Servers of others, as processes."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import IO, Final

from lookalike.processes import stop

_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.1


@asynccontextmanager
async def program(
    command: Sequence[str], log: IO[bytes], is_ready: Callable[[], Awaitable[bool]]
) -> AsyncIterator[None]:
    """Run it until the end of the block, which begins when it is ready."""
    environment = {**os.environ, "RUST_LOG": "warn"}  # or Chroma writes several lines for each search
    process = await asyncio.create_subprocess_exec(
        *command, stdout=log, stderr=log, start_new_session=True, env=environment
    )
    try:
        async with asyncio.timeout(_SECONDS):
            while not await is_ready():
                if process.returncode is not None:
                    raise SystemExit(f"{command[0]} ended with {process.returncode}")
                await asyncio.sleep(_LOOK_SECONDS)
        yield
    finally:
        await stop(process)
