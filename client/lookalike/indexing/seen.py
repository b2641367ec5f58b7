"""Keep the references that a run has seen, on disk: there may be a hundred million."""

import hashlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from lookalike.records import Item, Reference

_AT_ONCE: Final = 10_000

_Row = tuple[bytes, str, str]
"""Digest, place and origin of an item."""


@dataclass(frozen=True)
class Earlier:
    """An earlier item has the same reference.

    Attributes:
        place: where it came from, such as `list.csv:7`; empty if that is not known.
        same: whether it has the same labels and the same path, too.
        origin: the URL of its origin; empty if it has none.
    """

    place: str
    same: bool
    origin: str


class Seen:
    """A set of references is kept, by all but their labels, as a context manager. Each takes some 60 bytes of disk."""

    def __enter__(self) -> Self:
        """Make a file that goes by itself."""
        # items may be added in another thread, before anybody asks
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute(
            "CREATE TABLE seen (key BLOB PRIMARY KEY, digest BLOB, place TEXT, origin TEXT) WITHOUT ROWID"
        )
        self._new: dict[bytes, _Row] = {}
        self.count = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete the temporary database."""
        self._database.close()

    def add(self, item: Item, place: str = "") -> Earlier | None:
        """Note that an item was seen, and return the first one with its reference if it is not the first itself.

        Args:
            item: the item.
            place: where it comes from.
        """
        key, digest = _key(item), _digest(item)
        if first := self._first(key):
            return Earlier(first[1], first[0] == digest, first[2])
        self.count += 1
        self._new[key] = digest, place, item.origin.url if item.origin else ""
        if len(self._new) >= _AT_ONCE:
            self._write()
        return None

    def _first(self, key: bytes) -> _Row | None:
        if key in self._new:
            return self._new[key]
        found: _Row | None = self._database.execute(
            "SELECT digest, place, origin FROM seen WHERE key = ?", (key,)
        ).fetchone()
        return found

    def others(self, references: Iterable[Reference]) -> list[Reference]:
        """Return those of the references that were not seen."""
        self._write()
        find = "SELECT 1 FROM seen WHERE key = ?"
        return [
            reference for reference in references if self._database.execute(find, (_key(reference),)).fetchone() is None
        ]

    def _write(self) -> None:
        self._database.execute("BEGIN")
        self._database.executemany(
            "INSERT INTO seen VALUES (?, ?, ?, ?)", ((key, *self._new[key]) for key in sorted(self._new))
        )
        self._database.execute("COMMIT")
        self._new.clear()


def _digest(item: Item) -> bytes:
    text = "\0".join((item.path, *(f"{name}\0{value}" for name, value in sorted(item.labels.items()))))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _key(reference: Item | Reference) -> bytes:
    text = "\0".join((reference.uri, reference.product, reference.variant, str(int(bool(reference.staged)))))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
