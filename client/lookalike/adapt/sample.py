"""Collect what a projection is learned from: vectors, their products, and users' feedback, as arrays."""

import asyncio
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from lookalike.records import Feedback, ImageVector, Verdict

_MAX_IMAGES: Final = 100_000
"""Only a share of the products of a larger project is read; more images hardly improve a matrix of 512 by 512."""
_MAX_BYTES: Final = 200_000_000
"""Of vectors of more dimensions, fewer are read, so that they take no more memory."""
_BATCH_SIZE: Final = 4096
"""Vectors that are collected before they become rows of an array."""
_HALVES: Final = np.dtype("<f2")
NO_PAIRS: Final = np.zeros((0, 2), np.int64)
"""The array of pairs of a project without feedback."""


@dataclass(frozen=True)
class Sample:
    """A sample holds vectors, with the products that they show.

    An image belongs to a group if it shows a single product that another image shows too. An image of several products,
    such as a size chart or a logo, belongs to no group, because it does not look like one product; a featureless one
    belongs to none either. Where variants are told apart, those of a product are groups of their own. An image without
    such a group belongs to that of a label's value, if one was named, and shares it with another image. A query without
    a group joins that of the hits that users judged right.

    Attributes:
        vectors: float32 of shape (n, d).
        groups: the number of each image's product, of shape (n,); -1 for an image without a group.
        pairs: the places of queries and of hits that users judged right, and of copies, of shape (m, 2).
        apart: the places of queries and of hits that users judged wrong, of shape (k, 2).
        labels: how many groups are values of a label.
        copies: how many of the pairs are copies.
    """

    vectors: np.ndarray
    groups: np.ndarray
    pairs: np.ndarray
    apart: np.ndarray
    labels: int = 0
    copies: int = 0

    @property
    def products(self) -> int:
        """Return the number of products with two or more images, or of what stands for them, but not labels."""
        return len(np.unique(self.groups[self.groups >= 0])) - self.labels

    @property
    def judgements(self) -> int:
        """Return the number of pairs that users judged."""
        return len(self.pairs) - self.copies + len(self.apart)

    def only(self, mask: np.ndarray) -> "Sample":
        """Return the images where `mask`, of shape (n,), is true, with the pairs that are between them."""
        places = np.cumsum(mask) - 1
        pairs, apart = (places[judged[mask[judged].all(axis=1)]] for judged in (self.pairs, self.apart))
        return Sample(self.vectors[mask], self.groups[mask], pairs, apart)


def most_images(dimensions: int) -> int:
    """Return how many vectors of a space are read at most."""
    return min(_MAX_IMAGES, _MAX_BYTES // (4 * dimensions))


async def collect(
    vectors: AsyncIterable[ImageVector],
    feedback: AsyncIterable[Feedback],
    source: str,
    dimensions: int,
    *,
    tell_variants_apart: bool = False,
    copies: Sequence[tuple[str, str]] = (),
) -> Sample:
    """Collect all vectors and all feedback. Each number takes 4 bytes, and 8 while the arrays are joined.

    Args:
        vectors: the vectors of the project's images in the space `source`.
        feedback: the feedback. A query that is not an image of the project counts if it has a vector in `source`.
        source: the name of the space.
        dimensions: how many dimensions the space has.
        tell_variants_apart: whether variants of a product are groups of their own.
        copies: hashes of images, each with that of a copy.
    """
    parts: list[np.ndarray] = []
    values: list[bytes] = []
    shown: list[_Shown] = []
    places: dict[str, int] = {}
    async for image in vectors:
        places[image.sha256] = len(shown)
        shown.append(_shown(image, tell_variants_apart=tell_variants_apart))
        values.append(image.values)
        if len(values) == _BATCH_SIZE:
            parts.append(_array(values, dimensions))
            values = []
    parts.append(_array(values, dimensions))
    judgements = _Judgements(places, source)
    async for search in feedback:
        judgements.add(search)
    parts.append(np.array(judgements.queries, np.float32).reshape(-1, dimensions))
    shown += [_Shown("", "")] * len(judgements.queries)
    pairs = [(places[one], places[other]) for one, other in copies if one in places and other in places]
    return await asyncio.to_thread(_sample, parts, shown, judgements, pairs)


class _Shown(NamedTuple):
    """An image shows a product and a value of a label; empty if it shows none, or several."""

    product: str
    label: str


def _shown(image: ImageVector, *, tell_variants_apart: bool) -> _Shown:
    if image.featureless:
        return _Shown("", "")
    product = image.products[0] if len(image.products) == 1 else ""
    if product and tell_variants_apart:
        product = "\0".join((product, *image.variants)) if len(image.variants) < 2 else ""
    return _Shown(product, image.label_values[0] if len(image.label_values) == 1 else "")


def _sample(
    parts: Sequence[np.ndarray],
    shown: Sequence[_Shown],
    judgements: "_Judgements",
    copies: Sequence[tuple[int, int]],
) -> Sample:
    groups = _group_numbers([one.product for one in shown])
    products = int(groups.max(initial=-1)) + 1
    by_label = _group_numbers([one.label if group < 0 else "" for one, group in zip(shown, groups, strict=True)])
    groups = np.where(by_label >= 0, by_label + products, groups)
    labels = len(np.unique(by_label[by_label >= 0]))
    groups = _joined(groups, judgements.right)
    pairs = _pairs([*judgements.right, *copies])
    return Sample(np.concatenate(parts), groups, pairs, _pairs(judgements.wrong), labels, len(copies))


class _Judgements:
    """Collect users' judgements of hits, by the places of query and hit.

    Attributes:
        queries: the vectors of queries that are not images of the project; their places come after those of images.
        right: the places of queries and of hits that users judged right.
        wrong: the same of hits that they judged wrong.
    """

    def __init__(self, places: Mapping[str, int], source: str) -> None:
        self._places, self._source = places, source
        self.queries: list[Sequence[float]] = []
        self.right: list[tuple[int, int]] = []
        self.wrong: list[tuple[int, int]] = []

    def add(self, search: Feedback) -> None:
        """Add the judgements of a search's hits, if its query has a vector."""
        query = self._places.get(search.query_sha256)
        embedding = search.query_embedding
        if query is None and embedding and embedding.space == self._source:
            query = len(self._places) + len(self.queries)
            self.queries.append(embedding.values)
        if query is None:
            return
        for hit in search.hits:
            place = self._places.get(hit.sha256)
            if hit.verdict and place is not None and place != query:
                (self.right if hit.verdict is Verdict.RIGHT else self.wrong).append((query, place))


def _joined(groups: np.ndarray, right: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return the groups, joined by queries without one, of which users judged hits right: such a query shows the same.

    So a project without products is learned from, and measured, by feedback. A query whose right hits show several
    products joins none.
    """
    joined, fresh = groups.copy(), int(groups.max(initial=-1)) + 1
    hits_of: dict[int, list[int]] = {}
    for query, hit in right:
        hits_of.setdefault(query, []).append(hit)
    for query, hits in hits_of.items():
        shown = {int(joined[place]) for place in hits if joined[place] >= 0}
        if joined[query] >= 0 or len(shown) > 1:
            continue
        group = shown.pop() if shown else fresh
        fresh += group == fresh
        places = np.array([query, *hits])
        joined[places[joined[places] < 0]] = group
    return joined


def _pairs(places: Sequence[tuple[int, int]]) -> np.ndarray:
    return np.array(places, np.int64).reshape(-1, 2)


def _array(values: Sequence[bytes], dimensions: int) -> np.ndarray:
    return np.frombuffer(b"".join(values), _HALVES).astype(np.float32).reshape(-1, dimensions)


def _group_numbers(labels: Sequence[str]) -> np.ndarray:
    if not labels:
        return np.zeros(0, np.int64)
    names, groups, sizes = np.unique(np.array(labels, object).astype(str), return_inverse=True, return_counts=True)
    usable = (sizes > 1) & (names != "")
    return np.asarray(np.where(usable[groups], groups, -1), np.int64)
