"""Define the settings of an evaluation."""

from dataclasses import dataclass

from lookalike.constants import NEAR_DUPLICATE


@dataclass(frozen=True)
class Settings:
    """Settings hold what an evaluation can be told, with defaults.

    Attributes:
        copied: the number of photos that altered copies are made of; 0 makes none and measures no near duplicates.
        threshold: the similarity in [-1, 1] from which on a pair counts as near-duplicate.
        seed: the seed of the random choice of photos to copy.
    """

    copied: int = 25
    threshold: float = NEAR_DUPLICATE
    seed: int = 0
