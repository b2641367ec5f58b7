"""Tell projects that are being imported from those that are only changed."""

import time
from typing import Final, NamedTuple

_IMPORTING: Final = 0.01
"""A project that grows by this share during the patience is being imported."""
_LONGEST_IMPORT: Final = 300.0
"""After so many seconds of an import, its work is done in any case, as searches are exact without an index. What is
imported during the build is added to the index image by image, by one process: a million images were imported in a
minute, and an index that was begun at 200,000 of them was not ready after 25, on a busy machine."""


class _Growth(NamedTuple):
    """The growth of a project says when it was first seen, and when last counted, with the count then."""

    first: float
    last: float
    image_count: int


class ImportWatch:
    """The watch remembers how many images there were, to see whether there are many more a while later.

    Args:
        patience: the seconds without much growth after which nothing is being imported.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._growths: dict[int, _Growth] = {}

    def is_import(self, key: int, idle_seconds: float, image_count: int) -> bool:
        """Return whether a project still grows fast, and has not done so for very long.

        Args:
            key: the id of what is watched.
            idle_seconds: the seconds since the project was changed.
            image_count: how many images it has now.
        """
        now = time.monotonic()
        seen = self._growths.setdefault(key, _Growth(now, now, image_count))
        if idle_seconds >= self._patience or now - seen.first >= _LONGEST_IMPORT:
            return False
        if now - seen.last < self._patience:
            return True
        self._growths[key] = seen._replace(last=now, image_count=image_count)
        return image_count > seen.image_count * (1 + _IMPORTING)
