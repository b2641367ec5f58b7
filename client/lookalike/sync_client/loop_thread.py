"""An event loop in a thread of its own, for code that has none: its coroutines and streams as calls that block."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Generator
from concurrent.futures import CancelledError
from contextlib import aclosing
from typing import Any, Final, TypeVar

from lookalike.errors import closed

T = TypeVar("T")

_END: Final = object()


class LoopThread:
    """Runs an event loop until it is stopped. The thread is a daemon: a program that forgets to stop it still ends."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lookalike", daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end. The calling thread's context variables are its own.

        Raises:
            LookalikeError: the thread was stopped.
        RuntimeError: the call comes from the loop's own thread, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("a blocking call from the client's own thread would wait for itself")
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError as error:
            coroutine.close()
            raise closed() from error
        try:
            return future.result()
        except CancelledError as error:
            raise closed() from error
        except BaseException:  # also an interrupt of the thread that waits
            future.cancel()
            raise

    def iterate(self, stream: Callable[[], AsyncGenerator[T, None]]) -> Generator[T, None, None]:
        """Yield what an asynchronous generator yields. All of it runs in one task, one step ahead of the caller."""
        queue: asyncio.Queue[Any] = asyncio.Queue(1)

        async def run() -> None:
            try:
                async with aclosing(stream()) as values:
                    async for value in values:
                        await queue.put((value, None))
            except Exception as error:  # the caller's thread raises it
                await queue.put((_END, error))
            else:
                await queue.put((_END, None))

        async def start() -> asyncio.Task[None]:
            return asyncio.create_task(run())

        task = self.call(start())
        try:
            while True:
                value, error = self.call(queue.get())
                if error:
                    raise error
                if value is _END:
                    return
                yield value
        finally:
            if not self._loop.is_closed():
                self.call(_cancelled([task]))

    def stop(self) -> None:
        """Cancel what is under way, and end the thread."""
        self._loop.call_soon_threadsafe(lambda: asyncio.ensure_future(self._end()))
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        await _cancelled(asyncio.all_tasks() - {asyncio.current_task()})
        await self._loop.shutdown_asyncgens()
        self._loop.stop()


async def _cancelled(tasks: "Collection[asyncio.Task[Any]]") -> None:
    """Cancel tasks, and wait until they have cleaned up."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
