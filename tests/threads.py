"""Tests that compute for long, beside an event loop on which servers live."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec

P = ParamSpec("P")


def in_a_thread(test: Callable[P, None]) -> Callable[P, Awaitable[None]]:
    """Run a test in a thread of its own. The servers that tests share go on meanwhile, as they would in production."""

    @functools.wraps(test)
    async def run(*args: P.args, **kwargs: P.kwargs) -> None:
        await asyncio.to_thread(test, *args, **kwargs)

    return run
