"""Measure how late the event loop is: a busy loop keeps all calls waiting before anything else can."""

import asyncio
from collections.abc import Callable
from typing import Final

_INTERVAL_SECONDS: Final = 0.1


async def watch(*observers: Callable[[float], object]) -> None:
    """Call the observers ten times a second, until cancelled, with the seconds by which the loop is late."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _INTERVAL_SECONDS
        await asyncio.sleep(_INTERVAL_SECONDS)
        lag_seconds = max(0.0, loop.time() - due)
        for observe in observers:
            observe(lag_seconds)
