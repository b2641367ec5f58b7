"""Make pairs of pictures of which is known whether one is a copy of the other, and judge each in all ways."""

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lookalike.constants import NEAR_DUPLICATE
from lookalike.evaluation import alterations
from lookalike_searcher.copies.proof import Kind, Proof
from lookalike_searcher.copies.verification import verify
from tests.bench.copies.alterations import COPIES, RECOLOURED
from tests.bench.copies.catalogue import Catalogue, Described, described
from tests.bench.labelled_photos import Model

DEPTHS: Final = (20, 50, 200)
VERIFIED: Final = 20
"""So many of the nearest are verified."""


class Truth(enum.Enum):
    """What a pair is."""

    COPY = "copy"
    RECOLOURED = "recoloured"
    SERIES = "series"
    OTHER = "other"


@dataclass(frozen=True, eq=False)
class Pair:
    """Two pictures.

    Attributes:
        truth: what they are to one another.
        name: the alteration's, or those of both photos.
        place: how many photos are nearer to the copy than its original is; None if nothing was ranked.
    """

    truth: Truth
    name: str
    one: Described
    other: Described
    proof: Proof
    place: int | None = None

    @property
    def is_proven(self) -> bool:
        """Whether a search finds the original and proves the copy."""
        return self.proof.is_copy and (self.place is None or self.place < VERIFIED)


Judge = Callable[[Pair], bool]
"""Says whether a pair is the same photo."""

JUDGES: Final[Mapping[str, Judge]] = {
    "cosine": lambda pair: pair.one.vector is not None and _cosine(pair) >= NEAR_DUPLICATE,
    "phash": lambda pair: int((pair.one.phash != pair.other.phash).sum()) <= 10,
    "pdq": lambda pair: int((pair.one.pdq != pair.other.pdq).sum()) <= 31,
}
"""Others' ways, at the thresholds that their authors and users name: 10 of 64 bits, 31 of 256."""


def _cosine(pair: Pair) -> float:
    assert pair.one.vector is not None
    assert pair.other.vector is not None
    return float(pair.one.vector @ pair.other.vector)


def copies(own: Catalogue, count: int, model: Model | None) -> Iterator[Pair]:
    """Each altered copy beside its original; and beside all else that would be verified, which must not be proven."""
    for row in own.sample(count):
        photo, beside = own.upright(row), own.companions(row)
        others = [own.upright(other) for other in beside]
        for name, compose in COPIES.items():
            copy = described(alterations.saved(compose(photo, others)), model)
            yield from _of_copy(own, row, copy, Truth.COPY, name, {row, *beside})
        for name, alter in RECOLOURED.items():
            copy = described(alterations.saved(alter(photo)), model)
            yield from _of_copy(own, row, copy, Truth.RECOLOURED, name, {row, *beside})


def _of_copy(own: Catalogue, row: int, copy: Described, truth: Truth, name: str, in_it: set[int]) -> Iterator[Pair]:
    original = own.photos[row]
    nearest = [] if copy.vector is None else own.nearest(copy.vector, max(DEPTHS))
    place = None if copy.vector is None else nearest.index(row) if row in nearest else len(own.photos)
    yield Pair(truth, name, copy, original, verify(copy.side, original.side), place)
    for other in nearest[:VERIFIED]:
        if other not in in_it and own.labels[other] != own.labels[row]:
            yield _different(own, Truth.OTHER, f"{name} of {own.paths[row].name}", copy, other)


def look_alikes(own: Catalogue) -> Iterator[Pair]:
    """Each photo beside the nearest one of another label, and beside the next one of its own: a shot of its series."""
    order = sorted(range(len(own.photos)), key=lambda row: (own.labels[row], own.paths[row]))
    for row, following in zip(order, order[1:] + order[:1], strict=True):
        photo, name = own.photos[row], own.paths[row].name
        if own.labels[following] == own.labels[row]:
            yield _different(own, Truth.SERIES, name, photo, following)
        others = [] if photo.vector is None else own.nearest(photo.vector, len(own.photos))
        nearest = (other for other in others if own.labels[other] != own.labels[row])
        yield _different(own, Truth.OTHER, name, photo, next(nearest, own.companions(row)[0]))


def _different(own: Catalogue, truth: Truth, name: str, one: Described, row: int) -> Pair:
    other = own.photos[row]
    return Pair(truth, f"{name} | {own.paths[row].name}", one, other, verify(one.side, other.side))


def is_false(pair: Pair) -> bool:
    """Whether a proof is wrong: different photos, or other colours taken for a plain copy."""
    if pair.truth is Truth.RECOLOURED:
        return pair.proof.kind is Kind.NEAR_DUPLICATE
    return pair.truth is not Truth.COPY and pair.proof.is_copy
