"""Keep items that wait for another try in files, as there may be millions while a host is down."""

import pickle
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import IO, Any, Final

from lookalike.errors import LookalikeError, UnreadableImageError
from lookalike.records import Item, Outcome, Status

_IN_MEMORY: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt is to be made with an item.

    Attributes:
        item: the item.
        attempts: in how many rounds it failed though it was tried.
        image_lost: whether the project lost its image; see `Job`.
        reason: the reason of its last failure; empty if it has not failed.
        message: the message of that failure.
    """

    item: Item
    attempts: int = 0
    image_lost: bool = False
    reason: str = ""
    message: str = ""

    def unfinished(self) -> Outcome:
        """Return the outcome of an item that is not tried again, as the run is stopped."""
        error = UnreadableImageError(self.message, reason=self.reason)
        return Outcome(self.item.uri, Status.FAILED, error, self.item)


async def first_attempts(batches: AsyncGenerator[list[Item], None]) -> AsyncGenerator[list[Attempt], None]:
    """Yield batches of items as attempts, the first ones of these items."""
    async with aclosing(batches):
        async for batch in batches:
            yield [Attempt(item) for item in batch]


class Spool:
    """The spool holds attempts until they are made. Those of items that could not be tried come back first, in order.

    So an image that its host refuses again and again does not keep the host from others.
    """

    def __init__(self) -> None:
        self._piles, self._drained = _new_piles(), _new_piles()

    def __len__(self) -> int:
        """Return how many attempts are held, without those that are being given back."""
        return sum(map(len, self._piles))

    def put(self, attempt: Attempt, error: LookalikeError, *, tried: bool) -> None:
        """Take an attempt that has failed, or that could not be made."""
        item = attempt.item
        image = bytes(item.image) if isinstance(item.image, memoryview) else item.image
        item = replace(item, image=image, labels=dict(item.labels))  # as not all that is like them can be pickled
        self._piles[tried].put(replace(attempt, item=item, reason=error.reason, message=str(error)))

    def drain(self) -> Iterator[Attempt]:
        """Give back all that is there now; what is put meanwhile is for the next time."""
        self._close(self._drained)
        self._drained, self._piles = self._piles, _new_piles()
        for pile in self._drained:
            yield from pile.taken()

    def rest(self) -> Iterator[Attempt]:
        """Give back all that is there, with what was not taken of the last `drain`."""
        for pile in (*self._drained, *self._piles):
            yield from pile.taken()

    def close(self) -> None:
        """Let go of the files."""
        self._close(self._piles)
        self._close(self._drained)

    @staticmethod
    def _close(piles: "tuple[_Pile, _Pile]") -> None:
        for pile in piles:
            pile.file.close()


class _Pile:
    """A pile is a file of attempts, which is written first and then read."""

    def __init__(self) -> None:
        self.file: IO[Any] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - the spool closes it
        self._count, self._is_read = 0, False

    def __len__(self) -> int:
        return self._count

    def put(self, attempt: Attempt) -> None:
        pickle.dump(attempt, self.file, pickle.HIGHEST_PROTOCOL)
        self._count += 1

    def taken(self) -> Iterator[Attempt]:
        if not self._is_read:
            self.file.seek(0)
            self._is_read = True
        while self._count:
            self._count -= 1
            yield pickle.load(self.file)  # noqa: S301 - we wrote it, and nobody else can see the file


def _new_piles() -> tuple[_Pile, _Pile]:
    return _Pile(), _Pile()
