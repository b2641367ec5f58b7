"""Choose how to project a project's vectors: by products, by taking the mean out, or not at all.

What is chosen helps on products that it was not learned from; see `choose`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from lookalike.adapt import measure
from lookalike.adapt.learning import Projection, learn, mean_taken_out, narrowed
from lookalike.adapt.sample import Sample
from lookalike.records import Learning, MeasuredGain

MIN_IMAGES: Final = 100
"""A project needs so many images to be tuned. With 60 of four sets of photos, what was chosen lost 5 % on other labels
of the set in the worst of 20 splits; with 100 to 200, .4 % in the worst of 60."""
_PARTS: Final = 3
_LEAST_IN_PART: Final = 2
"""Each part needs two products of two or more images, to tell one from another."""
_WORTH: Final = 1.01
"""What is not certain is taken if it seems to gain so much: less is not worth another index."""
_WIDTHS: Final = (256,)
"""What is learned from products is also tried with so many dimensions, if that is at most half: an index takes half of
the memory then. With 128, allowed too, 1.3 % were lost on groceries that were not measured by."""
_LOST: Final = 0.005
"""The narrowest is taken whose mean average precision is lower by this share at most."""
_NEIGHBOURS: Final = (0, 4, 8, 16)
"""Images are drawn towards so many of their neighbours; see `augmentation`."""
MEAN: Final = "mean"
PRODUCTS: Final = "products"


class _Kind(NamedTuple):
    """The kind of a projection is its method, by how many neighbours, and to how many dimensions it leads."""

    method: str
    neighbours: int
    dimensions: int


@dataclass(frozen=True)
class Choice:
    """A choice has a projection, None if nothing seems to help, and what was learned from, with the best gain."""

    projection: Projection | None
    learning: Learning


def choose(sample: Sample, serving: Projection | None, fresh: np.ndarray, seed: int) -> Choice:
    """Return the projection that gains most over what serves, of those that help beyond doubt if there are any.

    The products are split into three parts, or into two if they are four or five. Each part is searched among itself by
    what was learned from the others, and by what serves. What is learned without products, the mean and neighbours, is
    also measured on all of them at once: more products make more certain. With fewer than four, that is all. The
    interval of the difference is from a bootstrap over products, with 99 % confidence; it must be above 0 as a whole.

    If nothing is certain, and nothing serves yet, what seems to gain most is taken if that is 1 % or more: few products
    make no certainty. Without any, half of the mean is taken out. On four sets of photos, the choice lost .4 % in the
    worst of 80 splits; see docs/quality.md.

    What is learned from products has the fewest dimensions that lose next to nothing; see _WIDTHS.

    Args:
        sample: the vectors, with what they show.
        serving: what serves now; None if that is the vectors themselves.
        fresh: which images `serving` was not learned from, of shape (n,). Products with others are not measured.
        seed: the seed of the split.
    """
    stale = np.unique(sample.groups[~fresh])
    judged = np.isin(sample.groups, stale, invert=True) & (sample.groups >= 0)
    products = len(np.unique(sample.groups[judged]))
    at_once = _gains(sample, [(judged, sample)], serving, judged, seed) if products > 1 else {}
    gains = _gains(sample, _splits(sample, products, seed), serving, judged, seed) or at_once
    certain = {kind: gain for kind, gain in gains.items() if gain.helps or at_once.get(kind, gain).helps}
    kind = _best(certain) if certain else _likely(gains, at_once, sample)
    gain = at_once.get(kind, gains.get(kind))
    likely = serving is None and (gain is None or gain.after >= _WORTH * gain.before)
    projection = _projection(sample, kind) if certain or likely else None
    return Choice(projection, _learning(kind.method, sample, gain))


def _likely(gains: Mapping[_Kind, MeasuredGain], at_once: Mapping[_Kind, MeasuredGain], sample: Sample) -> _Kind:
    """Return the kind that seems to gain most; what needs no products by what it gains on all of them at once."""
    if not gains:
        return _Kind(MEAN, 0, sample.vectors.shape[1])
    kind = _best(gains)
    return _best(at_once) if kind.method == MEAN else kind


def _best(gains: Mapping[_Kind, MeasuredGain]) -> _Kind:
    """Return the kind that gains most, with as few neighbours, and then dimensions, as lose next to nothing."""
    best = max(gains, key=lambda kind: gains[kind].after)
    enough = (1 - _LOST) * gains[best].after
    return min(kind for kind in gains if kind.method == best.method and gains[kind].after >= enough)


def _projection(sample: Sample, kind: _Kind) -> Projection:
    """Return what is learned of this kind from the whole sample."""
    learned = _projections(sample, by_products=kind.method == PRODUCTS)
    return replace(learned[kind.method, kind.dimensions], neighbours=kind.neighbours)


def _projections(sample: Sample, *, by_products: bool) -> dict[tuple[str, int], Projection]:
    """Return what can be learned from the sample, each by its method and dimensions."""
    size = sample.vectors.shape[1]
    projections = {(MEAN, size): mean_taken_out(sample.vectors)}
    if by_products:
        learned = learn(sample.vectors, sample.groups, sample.pairs, sample.apart)
        projections |= {
            (PRODUCTS, width): narrowed(learned, sample.vectors, width) for width in _WIDTHS if width <= size / 2
        }
        projections[PRODUCTS, size] = learned
    return projections


def _learning(method: str, sample: Sample, gain: MeasuredGain | None = None) -> Learning:
    if method == MEAN:
        return Learning(method, len(sample.vectors), 0, 0, gain)
    return Learning(method, len(sample.vectors), sample.products, sample.judgements, gain)


def _gains(
    sample: Sample,
    splits: Iterable[tuple[np.ndarray, Sample]],
    serving: Projection | None,
    judged: np.ndarray,
    seed: int,
) -> dict[_Kind, MeasuredGain]:
    """Return what each kind gains over what serves, on the judged images, part by part.

    A split is a part of the images, and what is learned from for it; from the whole sample, without its products.
    """
    before: list[np.ndarray] = []
    groups: list[np.ndarray] = []
    after: dict[_Kind, list[np.ndarray]] = {}
    for part, learned_from in splits:
        vectors, shown = measure.limited(sample.vectors[part & judged], sample.groups[part & judged], seed)
        if len(np.unique(shown)) < 2:  # there is nothing else to find
            continue
        queries = measure.drawn(len(vectors), seed)
        groups.append(shown[queries])
        served, neighbours = (serving.apply(vectors), serving.neighbours) if serving else (vectors, 0)
        before.append(measure.precisions(served, shown, queries, neighbours))
        for (method, width), projection in _projections(learned_from, by_products=learned_from is not sample).items():
            projected = projection.apply(vectors)
            for neighbours in _NEIGHBOURS:
                found = measure.precisions(projected, shown, queries, neighbours)
                after.setdefault(_Kind(method, neighbours, width), []).append(found)
    return {kind: _gain(before, found, groups, seed) for kind, found in after.items()}


def _splits(sample: Sample, products: int, seed: int) -> Iterator[tuple[np.ndarray, Sample]]:
    """Yield parts of the images, and what is learned from for each: the others; nothing with fewer than 4 products."""
    count = min(_PARTS, products // _LEAST_IN_PART)
    for part in measure.parts(sample.groups, count, seed) if count > 1 else ():
        yield part, sample.only(~part)


def _gain(
    before: Sequence[np.ndarray], after: Sequence[np.ndarray], groups: Sequence[np.ndarray], seed: int
) -> MeasuredGain:
    first, second, shown = np.concatenate(before), np.concatenate(after), np.concatenate(groups)
    difference = measure.bootstrapped(second - first, shown, seed)
    return MeasuredGain(
        len(np.unique(shown)), len(shown), float(first.mean()), float(second.mean()), difference.low, difference.high
    )
