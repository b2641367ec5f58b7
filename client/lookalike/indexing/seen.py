"""Keep the references that a run has seen, on disk: there may be a hundred million."""

import hashlib
import sqlite3
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from lookalike.records import Item, Reference

_AT_ONCE: Final = 10_000


class Seen:
    """A set of references is kept, by all but their labels, as a context manager. Each takes some 30 bytes of disk."""

    def __enter__(self) -> Self:
        """Make a file that goes by itself."""
        # items may be added in another thread, before anybody asks
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("CREATE TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID")
        self._new: set[bytes] = set()
        self.count = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete the temporary database."""
        self._database.close()

    def add(self, item: Item) -> None:
        """Note that an item was seen."""
        self.count += 1
        self._new.add(_key(item))
        if len(self._new) >= _AT_ONCE:
            self._write()

    def others(self, references: Iterable[Reference]) -> list[Reference]:
        """Return those of the references that were not seen."""
        self._write()
        find = "SELECT 1 FROM seen WHERE key = ?"
        return [
            reference for reference in references if self._database.execute(find, (_key(reference),)).fetchone() is None
        ]

    def _write(self) -> None:
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR IGNORE INTO seen VALUES (?)", ((key,) for key in sorted(self._new)))
        self._database.execute("COMMIT")
        self._new.clear()


def _key(reference: Item | Reference) -> bytes:
    text = "\0".join((reference.uri, reference.product, reference.variant, str(int(bool(reference.staged)))))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
