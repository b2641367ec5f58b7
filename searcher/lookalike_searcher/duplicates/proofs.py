"""Keep what was proven of pairs of images, so that it need not be proven again to be told."""

from typing import Final

from lookalike_searcher.copies.proof import Proof

MAX_KEPT: Final = 10_000
"""So many proofs are kept, of some 2 kB each. Those of further pairs are made again when they are told."""


class Proofs:
    """The proofs are those of pairs, of which each has one, whichever of the two is asked for first."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], Proof] = {}

    def keep(self, one: int, other: int, proof: Proof) -> None:
        """Keep what was done to the other image so that it became the one, if there is room."""
        if len(self._kept) < MAX_KEPT:
            self._kept[one, other] = proof

    def of(self, one: int, other: int) -> Proof | None:
        """Return what was done to the other image so that it became the one, if that is kept."""
        if proof := self._kept.get((one, other)):
            return proof
        turned_round = self._kept.get((other, one))
        return turned_round.inverse if turned_round else None
