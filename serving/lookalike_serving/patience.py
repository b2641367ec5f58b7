"""Say how long a call may be expected to wait, and when a caller that was refused should come back."""

import random
from typing import Final

PATIENCE_SECONDS: Final = 20.0
"""Callers without a deadline are taken to wait so long for their answer."""
_WAITING_SHARE: Final = 0.3
"""A call may be expected to wait for this share of the time that its caller gives it. The rest is for slower times:
behind a queue as long as the deadline, nearly all work is done for callers who have gone."""
_OVERDUE_SHARE: Final = 0.5
"""A call that has waited for this share of its time has waited for longer than was expected. It is two thirds more than
was acceptable, since waits vary. With 0.4 for both, an overloaded embedder served the newest first most of the time,
and a fifth of the calls that it had let in waited until their deadline."""
_LEAST_RETRY_SECONDS: Final = 0.1


def acceptable_wait(remaining: float, patience: float = PATIENCE_SECONDS, waited: float = 0.0) -> float:
    """Return the seconds that a call may be expected to wait from now on; below 0 if it has waited for too long.

    Args:
        remaining: seconds until the caller's deadline; infinite if there is none.
        patience: seconds that are assumed at most.
        waited: seconds that the call has waited already.
    """
    return _WAITING_SHARE * min(remaining + waited, patience) - waited


def overdue_after(remaining: float, patience: float = PATIENCE_SECONDS, waited: float = 0.0) -> float:
    """Return the seconds after which a call has waited for so long that newer ones, which can be in time, go first.

    For the arguments see `acceptable_wait`.
    """
    return _OVERDUE_SHARE * min(remaining + waited, patience) - waited


def retry_after(expected_wait: float) -> float:
    """Return the seconds after which a refused caller should come back: once to twice the expected wait.

    Callers who are refused together get different times, so that they do not come back together.
    """
    return max(_LEAST_RETRY_SECONDS, expected_wait) * random.uniform(1, 2)  # noqa: S311 - no secret
