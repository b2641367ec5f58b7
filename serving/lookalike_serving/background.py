"""Run tasks beside a server."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def running(task: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run a task beside the block, and cancel it at the block's end."""
    beside = asyncio.create_task(task)
    try:
        yield
    finally:
        beside.cancel()
        await asyncio.wait({beside})
