"""Choose the photos that the report shows: queries with their hits, and pairs that are hard to tell apart."""

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageOps

from lookalike._operations import photo as photos
from lookalike.evaluation import alterations
from lookalike.evaluation.duplicates import Pair
from lookalike.evaluation.study import Evaluation, Side
from lookalike.ranking_metrics import Floats

_SIDE: Final = 144
_QUALITY: Final = 60
_HITS: Final = 8
_ROWS: Final = 6
_MAX_PER_LABEL: Final = 2
_PAIRS: Final = 8


@dataclass(frozen=True)
class Thumbnail:
    """A thumbnail is a small picture of a photo.

    Attributes:
        name: the photo's path, as the CSV file of labels has it.
        label: the photo's label.
        uri: the picture as a `data:` URI; empty if the photo cannot be decoded here.
    """

    name: str
    label: str
    uri: str


@dataclass(frozen=True)
class Row:
    """A row is a query with its average precision and its first hits."""

    query: Thumbnail
    average_precision: float
    hits: tuple[Thumbnail, ...]


@dataclass(frozen=True)
class SimilarPair:
    """SimilarPair holds two different photos that are very similar."""

    first: Thumbnail
    second: Thumbnail
    similarity: float


class Examples:
    """Choose examples from an evaluation, with a thumbnail of each photo; each photo is decoded once."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._thumbnails: dict[int, Thumbnail] = {}

    def worst(self, side: Side) -> list[Row]:
        """Return the queries with the lowest average precision, at most two of a label."""
        return [self._row(side, place) for place in self._chosen(side, side.retrieval.average_precision)]

    def best(self, side: Side) -> list[Row]:
        """Return the queries with the highest average precision; among equal ones, those with more photos to find."""
        labels = self._evaluation.labels[side.retrieval.queries]
        sizes = np.bincount(self._evaluation.labels)[labels]
        costs = -side.retrieval.average_precision - sizes * 1e-9
        return [self._row(side, place) for place in self._chosen(side, costs)]

    def similar_pairs(self, pairs: Sequence[Pair]) -> list[SimilarPair]:
        """Return the most similar pairs; two pairs of the same photos in other order count once."""
        distinct = {frozenset((pair.photo, pair.other)): pair for pair in pairs}
        top = sorted(distinct.values(), key=lambda pair: -pair.similarity)[:_PAIRS]
        return [SimilarPair(self._thumbnail(pair.photo), self._thumbnail(pair.other), pair.similarity) for pair in top]

    def _chosen(self, side: Side, costs: Floats) -> Iterator[int]:
        """Yield the places of queries, lowest cost first, at most two queries of a label."""
        counts: Counter[int] = Counter()
        for place in np.argsort(costs, kind="stable"):
            label = int(self._evaluation.labels[side.retrieval.queries[place]])
            counts[label] += 1
            if counts[label] <= _MAX_PER_LABEL:
                yield int(place)
            if sum(min(count, _MAX_PER_LABEL) for count in counts.values()) == _ROWS:
                return

    def _row(self, side: Side, place: int) -> Row:
        retrieval = side.retrieval
        hits = tuple(self._thumbnail(int(row)) for row in retrieval.top[place, :_HITS] if row >= 0)
        return Row(self._thumbnail(int(retrieval.queries[place])), float(retrieval.average_precision[place]), hits)

    def _thumbnail(self, row: int) -> Thumbnail:
        if row not in self._thumbnails:
            photo = self._evaluation.labelled.photos[row]
            self._thumbnails[row] = Thumbnail(photo.name, photo.label, _uri(photos.read(photo.path)))
        return self._thumbnails[row]


def _uri(data: bytes) -> str:
    try:
        small = ImageOps.contain(alterations.upright(data), (_SIDE, _SIDE), Image.Resampling.LANCZOS)
    except Exception:  # decoders raise errors of any type, and read other formats than the embedder
        return ""
    return "data:image/webp;base64," + base64.b64encode(alterations.saved(small, "WEBP", _QUALITY)).decode()
