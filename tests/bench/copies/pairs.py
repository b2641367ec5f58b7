"""Make pairs of pictures of which is known whether one is a copy of the other, and judge each in all ways."""

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lookalike.constants import NEAR_DUPLICATE
from lookalike.evaluation import alterations
from lookalike_embedder import views
from lookalike_searcher.copies.proof import Kind, Proof
from lookalike_searcher.copies.verification import verify
from lookalike_searcher.search.views import NEAREST_TO_QUERY, NEAREST_TO_VIEW
from tests.bench.copies.alterations import COPIES, RECOLOURED
from tests.bench.copies.catalogue import Catalogue, Described, described
from tests.bench.labelled_photos import Model, pixels_of, stored

DEPTHS: Final = (20, 50, 200)
VERIFIED: Final = 20
"""A plain search verifies so many of the nearest."""


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
        in_views: whether a thorough search looks at the original, which a plain one does not.
    """

    truth: Truth
    name: str
    one: Described
    other: Described
    proof: Proof
    place: int | None = None
    in_views: bool = False

    @property
    def is_proven(self) -> bool:
        """Whether a thorough search finds the original and proves the copy."""
        return self.is_proven_plainly or (self.proof.is_copy and self.in_views)

    @property
    def is_proven_plainly(self) -> bool:
        """Whether a plain search does."""
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


def copies(own: Catalogue, count: int, model: Model | None, *, seed: int = 0) -> Iterator[Pair]:
    """Each altered copy beside its original; and beside all else that would be verified, which must not be proven."""
    for row in own.sample(count, seed):
        photo, beside = own.upright(row), own.companions(row)
        others = [own.upright(other) for other in beside]
        for name, compose in COPIES.items():
            yield from _of_copy(own, row, alterations.saved(compose(photo, others)), Truth.COPY, name, model)
        for name, alter in RECOLOURED.items():
            yield from _of_copy(own, row, alterations.saved(alter(photo)), Truth.RECOLOURED, name, model)


def _of_copy(own: Catalogue, row: int, data: bytes, truth: Truth, name: str, model: Model | None) -> Iterator[Pair]:
    copy, original = described(data, model), own.photos[row]
    place, in_views, looked_at = None, False, set[int]()
    if copy.vector is not None and model:
        nearest = own.nearest(copy.vector, len(own.ranked))
        place, looked_at = nearest.index(row), set(nearest[:VERIFIED])
        if place >= VERIFIED:  # else, a thorough search finds it too
            looked_at.update(nearest[:NEAREST_TO_QUERY], *_nearest_to_views(own, data, model))
            in_views = row in looked_at
    yield Pair(truth, name, copy, original, verify(copy.side, original.side), place, in_views)
    for other in sorted(looked_at.difference(own.companions(row))):
        if not own.is_of_label(other, own.labels[row]):
            yield _different(own, Truth.OTHER, f"{name} of {own.paths[row].name}", copy, other)


def _nearest_to_views(own: Catalogue, data: bytes, model: Model) -> Iterator[list[int]]:
    for view in views.of(pixels_of(data)):
        yield own.nearest(stored(model([view]))[0], NEAREST_TO_VIEW)


def look_alikes(own: Catalogue) -> Iterator[Pair]:
    """Each photo beside the nearest one of another label, and beside shots of its series.

    These are the next one of its label, and the nearest one of its label.
    """
    order = sorted(range(len(own.photos)), key=lambda row: (own.labels[row], own.paths[row]))
    known = set[tuple[int, int]]()
    for row, following in zip(order, order[1:] + order[:1], strict=True):
        photo, name, label = own.photos[row], own.paths[row].name, own.labels[row]
        others = [] if photo.vector is None else own.nearest(photo.vector, len(own.ranked))
        nearest = (other for other in others if other != row and own.is_of_label(other, label))
        for shot in {following, next(nearest, following)}:
            pair = min(row, shot), max(row, shot)
            if shot != row and own.is_of_label(shot, label) and pair not in known:
                known.add(pair)
                yield _different(own, Truth.SERIES, name, photo, shot)
        nearest = (other for other in others if not own.is_of_label(other, label))
        yield _different(own, Truth.OTHER, name, photo, next(nearest, own.companions(row)[0]))


def _different(own: Catalogue, truth: Truth, name: str, one: Described, row: int) -> Pair:
    other = own.ranked[row]
    beside = own.paths[row].name if row < len(own.paths) else "of another set"
    return Pair(truth, f"{name} | {beside}", one, other, verify(one.side, other.side))


def is_false(pair: Pair) -> bool:
    """Whether a proof is wrong: different photos, or other colours taken for a plain copy."""
    if pair.truth is Truth.RECOLOURED:
        return pair.proof.kind is Kind.NEAR_DUPLICATE
    return pair.truth is not Truth.COPY and pair.proof.is_copy
