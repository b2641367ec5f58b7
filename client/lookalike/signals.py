"""Tell our programs when they are to end."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def cancelled_when_terminated(work: Coroutine[Any, Any, T]) -> T:
    """Do the work; when we are told to end, or the terminal is closed, it is cancelled and cleans up first.

    Ctrl-C does the same without our help: `asyncio.run` cancels its main task.
    """
    task = asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


async def until_signalled(*others: asyncio.Event) -> None:
    """Wait for SIGTERM or SIGINT, which from now on do nothing else, or for the first of other events."""
    signalled = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    waiting = [asyncio.create_task(event.wait()) for event in (signalled, *others)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
