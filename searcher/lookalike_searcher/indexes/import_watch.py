"""Tell projects that are being imported from those that are only changed."""

import time
from typing import Final

_IMPORTING: Final = 0.01
"""A project that grows by this share during the patience is being imported."""


class ImportWatch:
    """The watch remembers how many images there were, to see whether there are many more a while later.

    Args:
        patience: the seconds without much growth after which nothing is being imported.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._seen: dict[int, tuple[float, int]] = {}  # by key: the time, and the image count then

    def is_import(self, key: int, idle_seconds: float, image_count: int) -> bool:
        """Return whether a project still grows fast.

        Args:
            key: the id of what is watched.
            idle_seconds: the seconds since the project was changed.
            image_count: how many images it has now.
        """
        now = time.monotonic()
        since, count = self._seen.setdefault(key, (now, image_count))
        if idle_seconds >= self._patience:
            return False
        if now - since < self._patience:
            return True
        self._seen[key] = (now, image_count)
        return image_count > count * (1 + _IMPORTING)
