"""Decide whether an item that has failed is tried again in a later round of the run."""

from typing import Final

from lookalike.errors import LookalikeError, QuotaExceededError
from lookalike.fetch import TransientFailure
from lookalike.indexing.job import Job

_FETCHES: Final = 3
"""An image is fetched in so many rounds if its host answers other requests."""
_SENDS: Final = 2
"""An image is sent in so many rounds if the server's error is transient."""
_TRANSIENT: Final = ("RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE")
"""An item's error with one of these codes may pass when the item is sent again, as the proto says."""
_GONE: Final = "EMBEDDING_NEEDED"
"""The project held the item's image when it was asked, but no longer when the item was stored."""


def is_gone(job: Job, error: LookalikeError) -> bool:
    """Say whether the image has gone since the project was asked for it: it is embedded after all."""
    return error.reason == _GONE and not job.image_lost


def is_last(error: LookalikeError, attempts: int) -> bool:
    """Say whether an item that failed so in so many rounds is not tried again."""
    transient = error.code.name in _TRANSIENT and not isinstance(error, QuotaExceededError)
    return attempts >= (_FETCHES if isinstance(error, TransientFailure) else _SENDS if transient else 1)


def was_refused(error: LookalikeError) -> bool:
    """Say whether the host refused this item and asked to wait: others are tried before it."""
    return isinstance(error, TransientFailure) and error.wait > 0
