"""Run many short blocking calls in few threads: handing a small file to a thread takes longer than reading it."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_BATCH_SIZE: Final = 16
"""The most calls that are run in one batch."""
_MAX_WORKERS: Final = 4
"""The most batches that run at once."""

_Call = Callable[[], T]


class ThreadBatcher(Generic[T]):
    """Call blocking functions in threads, and run those that wait at the same time in one batch."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[_Call[T], asyncio.Future[T]]] = deque()
        self._workers: set[asyncio.Task[None]] = set()

    async def call(self, function: _Call[T]) -> T:
        """Run the function in a thread and return its result. Exceptions of the function are raised here."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((function, future))
        if len(self._workers) < _MAX_WORKERS:
            worker = asyncio.create_task(self._run_batches())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        return await future

    async def _run_batches(self) -> None:
        while self._waiting:
            calls = [self._waiting.popleft() for _ in range(min(_BATCH_SIZE, len(self._waiting)))]
            pending = [(function, future) for function, future in calls if not future.done()]
            results = await asyncio.to_thread(_call_all, [function for function, _ in pending])
            for (_, future), (result, error) in zip(pending, results, strict=True):
                if future.done():  # cancelled meanwhile
                    continue
                if error is None:
                    future.set_result(result)  # type: ignore[arg-type] # there is a result if there is no error
                else:
                    future.set_exception(error)


def _call_all(functions: list[_Call[T]]) -> list[tuple[T | None, Exception | None]]:
    results: list[tuple[T | None, Exception | None]] = []
    for function in functions:
        try:
            results.append((function(), None))
        except Exception as error:
            results.append((None, error))
    return results
