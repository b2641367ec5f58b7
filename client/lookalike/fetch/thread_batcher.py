"""Many small things done in few trips to threads: for a small file, the trip takes longer than to read it."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_AT_ONCE: Final = 16
"""Calls in one trip."""
_TRIPS: Final = 4
"""Trips at once."""

_Call = Callable[[], T]


class Trips(Generic[T]):
    """Calls blocking functions in threads, as many in one trip as have come meanwhile."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[_Call[T], asyncio.Future[T]]] = deque()
        self._trips: set[asyncio.Task[None]] = set()

    async def call(self, function: _Call[T]) -> T:
        """The function's result; what it raises is raised."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((function, future))
        if len(self._trips) < _TRIPS:
            trip = asyncio.create_task(self._go())
            self._trips.add(trip)
            trip.add_done_callback(self._trips.discard)
        return await future

    async def _go(self) -> None:
        while self._waiting:
            calls = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            wanted = [(function, future) for function, future in calls if not future.done()]
            results = await asyncio.to_thread(_all, [function for function, _ in wanted])
            for (_, future), (result, error) in zip(wanted, results, strict=True):
                if future.done():  # cancelled meanwhile
                    continue
                if error is None:
                    future.set_result(result)  # type: ignore[arg-type] # there is one, if there is no error
                else:
                    future.set_exception(error)


def _all(functions: list[_Call[T]]) -> list[tuple[T | None, Exception | None]]:
    results: list[tuple[T | None, Exception | None]] = []
    for function in functions:
        try:
            results.append((function(), None))
        except Exception as error:
            results.append((None, error))
    return results
