"""Choose how to project a project's vectors: by products, by taking the mean out, or not at all.

What is chosen helps beyond doubt, on products that it was not learned from; see `choose`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.adapt import measure
from lookalike.adapt.learning import Projection, learn, mean_taken_out
from lookalike.adapt.sample import Sample
from lookalike.records import Learning, MeasuredGain

_PARTS: Final = 3
_LEAST_PRODUCTS: Final = 2 * _PARTS
"""With fewer products of two or more images, nothing can be measured: each part needs two, to tell one from another."""
_ENOUGH_PRODUCTS: Final = 20
"""From so many on, what is not certain is left. With fewer, hardly any gain is."""
MEAN: Final = "mean"
PRODUCTS: Final = "products"


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
    certain = {name: gain for name, gain in gains.items() if gain.helps}
    if not certain and products < _ENOUGH_PRODUCTS:
        return _by_the_mean(sample, serving, gains.get(MEAN))
    method = max(certain or gains, key=lambda name: gains[name].after)
    learning = _learning(method, sample, gains[method])
    if not certain:
        return Choice(None, learning)
    if method == MEAN:
        return Choice(mean_taken_out(sample.vectors), learning)
    return Choice(learn(sample.vectors, sample.groups, sample.pairs, sample.apart), learning)


def _by_the_mean(sample: Sample, serving: Projection | None, gain: MeasuredGain | None) -> Choice:
    """Take the mean out without certainty, unless something else serves, or it seems to be worse."""
    worse = gain is not None and gain.after < gain.before
    return Choice(None if serving or worse else mean_taken_out(sample.vectors), _learning(MEAN, sample, gain))


def _learning(method: str, sample: Sample, gain: MeasuredGain | None = None) -> Learning:
    if method == MEAN:
        return Learning(method, len(sample.vectors), 0, 0, gain)
    return Learning(method, len(sample.vectors), sample.products, len(sample.pairs) + len(sample.apart), gain)


def _gains(sample: Sample, judged: np.ndarray, serving: Projection | None, seed: int) -> dict[str, MeasuredGain]:
    """Return what each method gains over what serves, on the judged images, part by part."""
    before: list[np.ndarray] = []
    groups: list[np.ndarray] = []
    after: dict[str, list[np.ndarray]] = {MEAN: [], PRODUCTS: []}
    for part in measure.parts(sample.groups, _PARTS, seed):
        rest = sample.only(~part)
        learned = learn(rest.vectors, rest.groups, rest.pairs, rest.apart)
        projections = {MEAN: mean_taken_out(rest.vectors), PRODUCTS: learned}
        vectors, shown = measure.limited(sample.vectors[part & judged], sample.groups[part & judged], seed)
        if len(np.unique(shown)) < 2:  # there is nothing else to find
            continue
        queries = measure.drawn(len(vectors), seed)
        groups.append(shown[queries])
        before.append(measure.precisions(serving.apply(vectors) if serving else vectors, shown, queries))
        for name, projection in projections.items():
            after[name].append(measure.precisions(projection.apply(vectors), shown, queries))
    return {name: _gain(before, found, groups, seed) for name, found in after.items()}


def _gain(
    before: Sequence[np.ndarray], after: Sequence[np.ndarray], groups: Sequence[np.ndarray], seed: int
) -> MeasuredGain:
    first, second, shown = np.concatenate(before), np.concatenate(after), np.concatenate(groups)
    difference = measure.bootstrapped(second - first, shown, seed)
    return MeasuredGain(
        len(np.unique(shown)), len(shown), float(first.mean()), float(second.mean()), difference.low, difference.high
    )
