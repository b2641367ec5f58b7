"""Smooth a measured pace, so that recent measurements count most."""

from typing import Final

_SMOOTHING: Final = 0.2
"""The weight of the newest measurement."""


def smoothed(before: float, now: float) -> float:
    """Return the smoothed pace after one more measurement; `before` is 0 at the first one."""
    return before + _SMOOTHING * (now - before) if before else now
