"""How fast something goes, of late."""

from typing import Final

_SMOOTHING: Final = 0.2
"""The weight of the last measurement."""


def smoothed(before: float, now: float) -> float:
    """A measured pace after one more measurement; 0 before the first one."""
    return before + _SMOOTHING * (now - before) if before else now
