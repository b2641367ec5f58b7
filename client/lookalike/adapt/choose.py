"""Choose how to project a project's vectors: by products, by taking the mean out, or not at all.

What is chosen helps beyond doubt, on products that it was not learned from; see `choose`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from lookalike.adapt import measure
from lookalike.adapt.learning import Projection, learn, mean_taken_out, narrowed
from lookalike.adapt.sample import Sample
from lookalike.records import Learning, MeasuredGain

_PARTS: Final = 3
_LEAST_PRODUCTS: Final = 2 * _PARTS
"""With fewer products of two or more images, nothing can be measured: each part needs two, to tell one from another."""
_ENOUGH_PRODUCTS: Final = 20
"""From so many on, what is not certain is left. With fewer, hardly any gain is."""
_WIDTHS: Final = (128, 256)
"""What is learned from products is also tried with so many dimensions, if that is at most half: an index takes half of
the memory then."""
_LOST: Final = 0.005
"""The narrowest is taken whose mean average precision is lower by this share at most."""
MEAN: Final = "mean"
PRODUCTS: Final = "products"


class _Kind(NamedTuple):
    """The kind of a projection is its method, and how many dimensions it leads to."""

    method: str
    dimensions: int


@dataclass(frozen=True)
class Choice:
    """A choice has a projection, None if nothing helps beyond doubt, and what was learned from, with the best gain."""

    projection: Projection | None
    learning: Learning


def choose(sample: Sample, serving: Projection | None, fresh: np.ndarray, seed: int) -> Choice:
    """Return the projection that gains most over what serves, among those that help beyond doubt.

    The products are split into three parts. Each part is searched among itself by what was learned from the two others,
    and by what serves. The interval of the difference comes from a bootstrap over products, with 99 % confidence; it
    must be above 0 as a whole. If nothing is certain, and there are fewer than 20 products, the mean is taken out where
    nothing else serves, unless that seems to be worse: it gained 0 to 7 % on four sets of photos, and lost .3 % at
    worst; see docs/quality.md.

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
    gains = _gains(sample, judged, serving, seed) if products >= _LEAST_PRODUCTS else {}
    certain = {kind: gain for kind, gain in gains.items() if gain.helps}
    if not certain and products < _ENOUGH_PRODUCTS:
        return _by_the_mean(sample, serving, gains.get(_Kind(MEAN, sample.vectors.shape[1])))
    kind = _best(certain or gains)
    projection = _projections(sample)[kind] if certain else None
    return Choice(projection, _learning(kind.method, sample, gains[kind]))


def _best(gains: Mapping[_Kind, MeasuredGain]) -> _Kind:
    """Return the kind that gains most, with as few dimensions as lose next to nothing."""
    method, _ = max(gains, key=lambda kind: gains[kind].after)
    enough = (1 - _LOST) * max(gain.after for gain in gains.values())
    return min(kind for kind, gain in gains.items() if kind.method == method and gain.after >= enough)


def _projections(sample: Sample) -> dict[_Kind, Projection]:
    """Return what can be learned from the sample, by its kind."""
    learned = learn(sample.vectors, sample.groups, sample.pairs, sample.apart)
    size = sample.vectors.shape[1]
    narrow = {width: narrowed(learned, sample.vectors, width) for width in _WIDTHS if width <= size / 2}
    by_products = {_Kind(PRODUCTS, width): projection for width, projection in {**narrow, size: learned}.items()}
    return {_Kind(MEAN, size): mean_taken_out(sample.vectors), **by_products}


def _by_the_mean(sample: Sample, serving: Projection | None, gain: MeasuredGain | None) -> Choice:
    """Take the mean out without certainty, unless something else serves, or it seems to be worse."""
    worse = gain is not None and gain.after < gain.before
    return Choice(None if serving or worse else mean_taken_out(sample.vectors), _learning(MEAN, sample, gain))


def _learning(method: str, sample: Sample, gain: MeasuredGain | None = None) -> Learning:
    if method == MEAN:
        return Learning(method, len(sample.vectors), 0, 0, gain)
    return Learning(method, len(sample.vectors), sample.products, len(sample.pairs) + len(sample.apart), gain)


def _gains(sample: Sample, judged: np.ndarray, serving: Projection | None, seed: int) -> dict[_Kind, MeasuredGain]:
    """Return what each kind gains over what serves, on the judged images, part by part."""
    before: list[np.ndarray] = []
    groups: list[np.ndarray] = []
    after: dict[_Kind, list[np.ndarray]] = {}
    for part in measure.parts(sample.groups, _PARTS, seed):
        vectors, shown = measure.limited(sample.vectors[part & judged], sample.groups[part & judged], seed)
        if len(np.unique(shown)) < 2:  # there is nothing else to find
            continue
        queries = measure.drawn(len(vectors), seed)
        groups.append(shown[queries])
        before.append(measure.precisions(serving.apply(vectors) if serving else vectors, shown, queries))
        for kind, projection in _projections(sample.only(~part)).items():
            after.setdefault(kind, []).append(measure.precisions(projection.apply(vectors), shown, queries))
    return {kind: _gain(before, found, groups, seed) for kind, found in after.items()}


def _gain(
    before: Sequence[np.ndarray], after: Sequence[np.ndarray], groups: Sequence[np.ndarray], seed: int
) -> MeasuredGain:
    first, second, shown = np.concatenate(before), np.concatenate(after), np.concatenate(groups)
    difference = measure.bootstrapped(second - first, shown, seed)
    return MeasuredGain(
        len(np.unique(shown)), len(shown), float(first.mean()), float(second.mean()), difference.low, difference.high
    )
