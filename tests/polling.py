"""Waiting for what no event tells, without waiting for longer than it takes."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Ask again and again until the answer is true. The test's own timeout ends this."""
    while not await condition():  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.01)
