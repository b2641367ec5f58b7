"""Choose how to project a project's vectors: by products, by taking the mean out, or not at all.

What is chosen helps beyond doubt, on products that it was not learned from; see `choose`.
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
"""A project needs so many images to be tuned. With 60 to 200 images of four sets of photos, what was chosen gained 11 %
in the mean on other labels of the set, and lost .3 % in the worst of 80 splits, with 60."""
_PARTS: Final = 3
_LEAST_PRODUCTS: Final = 2 * _PARTS
"""With fewer products of two or more images, nothing can be measured: each part needs two, to tell one from another."""
_ENOUGH_PRODUCTS: Final = 20
"""From so many on, what is not certain is left. With fewer, hardly any gain is."""
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
    """A choice has a projection, None if nothing helps beyond doubt, and what was learned from, with the best gain."""

    projection: Projection | None
    learning: Learning


def choose(sample: Sample, serving: Projection | None, fresh: np.ndarray, seed: int) -> Choice:
    """Return the projection that gains most over what serves, among those that help beyond doubt.

    The products are split into three parts. Each part is searched among itself by what was learned from the two others,
    and by what serves. What is learned without products, the mean and neighbours, is also measured on all of them at
    once: more products make more certain. With too few products for parts, that is all. The interval of the difference
    comes from a bootstrap over products, with 99 % confidence; it must be above 0 as a whole.

    If nothing is certain, and there are fewer than 20 products, then where nothing else serves, half of the mean is
    taken out, with the neighbours that seem to be best, unless all seems to be worse: without neighbours it gained 1 to
    3 % on four sets of photos, and lost .2 % in the worst of 40 splits; see docs/quality.md.

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
    splits = _splits(sample, seed) if products >= _LEAST_PRODUCTS else []
    gains = _gains(sample, splits, serving, judged, seed) or at_once
    certain = {kind: gain for kind, gain in gains.items() if gain.helps or at_once.get(kind, gain).helps}
    if not certain and products < _ENOUGH_PRODUCTS:
        return _without_certainty(sample, serving, gains)
    kind = _best(certain or gains)
    projection = None
    if certain:
        learned = _projections(sample, by_products=kind.method == PRODUCTS)
        projection = replace(learned[kind.method, kind.dimensions], neighbours=kind.neighbours)
    return Choice(projection, _learning(kind.method, sample, at_once.get(kind, gains[kind])))


def _best(gains: Mapping[_Kind, MeasuredGain]) -> _Kind:
    """Return the kind that gains most, with as few neighbours, and then dimensions, as lose next to nothing."""
    best = max(gains, key=lambda kind: gains[kind].after)
    enough = (1 - _LOST) * gains[best].after
    return min(kind for kind in gains if kind.method == best.method and gains[kind].after >= enough)


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


def _without_certainty(sample: Sample, serving: Projection | None, gains: Mapping[_Kind, MeasuredGain]) -> Choice:
    """Take the mean out, with the best neighbours, unless something else serves, or it seems to be worse."""
    measured = {kind: gain for kind, gain in gains.items() if kind.method == MEAN}
    kind = _best(measured) if measured else _Kind(MEAN, 0, sample.vectors.shape[1])
    gain = measured.get(kind)
    projection = replace(mean_taken_out(sample.vectors), neighbours=kind.neighbours)
    worse = gain is not None and gain.after < gain.before
    return Choice(None if serving or worse else projection, _learning(MEAN, sample, gain))


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


def _splits(sample: Sample, seed: int) -> Iterator[tuple[np.ndarray, Sample]]:
    """Yield parts of the images, and what is learned from for each: the others."""
    for part in measure.parts(sample.groups, _PARTS, seed):
        yield part, sample.only(~part)


def _gain(
    before: Sequence[np.ndarray], after: Sequence[np.ndarray], groups: Sequence[np.ndarray], seed: int
) -> MeasuredGain:
    first, second, shown = np.concatenate(before), np.concatenate(after), np.concatenate(groups)
    difference = measure.bootstrapped(second - first, shown, seed)
    return MeasuredGain(
        len(np.unique(shown)), len(shown), float(first.mean()), float(second.mean()), difference.low, difference.high
    )
