"""Keep items that wait for another try in a file, as there may be millions while a host is down."""

import pickle
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import IO, Any, Final

from lookalike.records import Item

_IN_MEMORY: Final = 1024 * 1024

Attempt = tuple[Item, int, bool]
"""An item that is to be tried, in how many rounds it was, and whether the project lost its image; see `Job`."""


async def first_attempts(batches: AsyncGenerator[list[Item], None]) -> AsyncGenerator[list[Attempt], None]:
    """Yield batches of items as attempts, the first ones of these items."""
    async with aclosing(batches):
        async for batch in batches:
            yield [(item, 0, False) for item in batch]


class Spool:
    """Holds items with the number of their attempts; they come back in the order in which they went in."""

    def __init__(self) -> None:
        self._count = 0
        self._file = self._new()

    def __len__(self) -> int:
        """Return how many attempts are held."""
        return self._count

    def put(self, item: Item, attempts: int, *, image_lost: bool = False) -> None:
        """Take an item; `attempts` and `image_lost` are those of its job."""
        image = bytes(item.image) if isinstance(item.image, memoryview) else item.image
        item = replace(item, image=image, labels=dict(item.labels))  # as not all that is like them can be pickled
        pickle.dump((item, attempts, image_lost), self._file, pickle.HIGHEST_PROTOCOL)
        self._count += 1

    def drain(self) -> Iterator[Attempt]:
        """Give back all that is there now; what is put meanwhile is for the next time."""
        file, count = self._file, self._count
        self._file, self._count = self._new(), 0
        file.seek(0)
        with file:
            for _ in range(count):
                yield pickle.load(file)  # noqa: S301 - we wrote it, and nobody else can see the file

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    @staticmethod
    def _new() -> IO[Any]:
        return tempfile.SpooledTemporaryFile(_IN_MEMORY)
