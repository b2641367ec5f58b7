"""How an evaluation goes."""

from dataclasses import dataclass

from lookalike.constants import NEAR_DUPLICATE


@dataclass(frozen=True)
class Settings:
    """How an evaluation goes.

    Attributes:
        copied: of how many photos altered copies are made; 0: none, and nothing is said of near duplicates.
        threshold: the similarity from which on a pair counts as near duplicates.
        seed: of the choice of photos that are copied.
    """

    copied: int = 25
    threshold: float = NEAR_DUPLICATE
    seed: int = 0
