"""Try items that have failed again in a later round of the run, where that may help."""

from collections.abc import Iterator
from typing import Final

from lookalike.errors import LookalikeError, QuotaExceededError
from lookalike.fetch import TransientFailure
from lookalike.indexing.job import Job, Watch
from lookalike.indexing.spool import Attempt, Spool

_FETCHES: Final = 3
"""An image is fetched in so many rounds if its host answers other requests."""
_SENDS: Final = 2
"""An image is sent in so many rounds if the server's error is transient."""
_TRANSIENT: Final = ("RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE")
"""An item's error with one of these codes may pass when the item is sent again, as the proto says."""
_GONE: Final = "EMBEDDING_NEEDED"
"""The project held the item's image when it was asked, but no longer when the item was stored."""


class Attempts:
    """Attempts are put off until the next round.

    Args:
        watch: is told how many are put off, and at the end of which items they are.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._put_off = Spool()
        self._retried: set[Job] = set()

    def __len__(self) -> int:
        """Return how many attempts wait for the next round."""
        return len(self._put_off)

    def begin(self, job: Job) -> None:
        """Note that a job is under way."""
        if job.attempt.reason:
            self._retried.add(job)

    def end(self, job: Job) -> None:
        """Note that a job is done."""
        self._retried.discard(job)

    def put_off(self, job: Job, error: LookalikeError, *, tried: bool) -> bool:
        """End a job that has failed. Return whether its item is put off, as another try may help.

        What the project held when it was asked, and no longer when it was stored, is embedded after all.

        Args:
            job: the job.
            error: why it has failed.
            tried: whether its image was asked for at all.
        """
        self.end(job)
        image_gone, failed = error.reason == _GONE and not job.image_lost, job.attempt.attempts + tried
        if tried and not image_gone and _is_last(error, failed):
            return False
        self._put_off.put(
            Attempt(job.item, failed, image_gone or job.image_lost), error, tried=tried or _was_refused(error)
        )
        self._watch.put_off += 1
        return True

    def next_round(self) -> Iterator[Attempt]:
        """Give back all attempts that were put off."""
        self._watch.put_off = 0
        return self._put_off.drain()

    def close(self) -> None:
        """Name what was put off to the watch, if the run is stopped early, and let go of it."""
        if self._watch.unfinished:
            for attempt in (*(job.attempt for job in self._retried), *self._put_off.rest()):
                self._watch.unfinished(attempt.unfinished())
        self._put_off.close()


def _is_last(error: LookalikeError, attempts: int) -> bool:
    """Say whether an item that failed so in so many rounds is not tried again."""
    transient = error.code.name in _TRANSIENT and not isinstance(error, QuotaExceededError)
    return attempts >= (_FETCHES if isinstance(error, TransientFailure) else _SENDS if transient else 1)


def _was_refused(error: LookalikeError) -> bool:
    """Say whether the host refused this item and asked to wait: others are tried before it."""
    return isinstance(error, TransientFailure) and error.wait > 0
