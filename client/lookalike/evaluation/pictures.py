"""What a person should see: queries with their hits, and pairs that are hard to tell apart."""

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
_OF_LABEL: Final = 2
_PAIRS: Final = 8


@dataclass(frozen=True)
class Picture:
    """A photo, small.

    Attributes:
        name: its path as the file of labels has it.
        label: its label.
        uri: the picture itself, as a `data:` URI; empty if it cannot be decoded here.
    """

    name: str
    label: str
    uri: str


@dataclass(frozen=True)
class Row:
    """A query, how well it was answered, and its first hits."""

    query: Picture
    average_precision: float
    hits: tuple[Picture, ...]


@dataclass(frozen=True)
class Twins:
    """Two different photos that are very similar."""

    one: Picture
    other: Picture
    similarity: float


class Album:
    """Shows photos of an evaluation; each is decoded once."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._made: dict[int, Picture] = {}

    def worst(self, side: Side) -> list[Row]:
        """The queries of the least average precision, at most two of a label."""
        return [self._row(side, place) for place in self._chosen(side, side.retrieval.average_precision)]

    def best(self, side: Side) -> list[Row]:
        """Those of the highest; of equal ones, those with more to find."""
        own = self._evaluation.labels[side.retrieval.queries]
        more = np.bincount(self._evaluation.labels)[own]
        return [self._row(side, place) for place in self._chosen(side, -side.retrieval.average_precision - more * 1e-9)]

    def twins(self, pairs: Sequence[Pair]) -> list[Twins]:
        """The most similar of the pairs, each once, whichever is the query."""
        once = {frozenset((pair.photo, pair.other)): pair for pair in pairs}
        first = sorted(once.values(), key=lambda pair: -pair.similarity)[:_PAIRS]
        return [Twins(self._picture(pair.photo), self._picture(pair.other), pair.similarity) for pair in first]

    def _chosen(self, side: Side, costs: Floats) -> Iterator[int]:
        """Places, the least cost first, at most two queries of a label."""
        counts: Counter[int] = Counter()
        for place in np.argsort(costs, kind="stable"):
            label = int(self._evaluation.labels[side.retrieval.queries[place]])
            counts[label] += 1
            if counts[label] <= _OF_LABEL:
                yield int(place)
            if sum(min(count, _OF_LABEL) for count in counts.values()) == _ROWS:
                return

    def _row(self, side: Side, place: int) -> Row:
        judged = side.retrieval
        hits = tuple(self._picture(int(row)) for row in judged.top[place, :_HITS] if row >= 0)
        return Row(self._picture(int(judged.queries[place])), float(judged.average_precision[place]), hits)

    def _picture(self, row: int) -> Picture:
        if row not in self._made:
            photo = self._evaluation.labelled.photos[row]
            self._made[row] = Picture(photo.name, photo.label, _uri(photos.read(photo.path)))
        return self._made[row]


def _uri(data: bytes) -> str:
    try:
        small = ImageOps.contain(alterations.upright(data), (_SIDE, _SIDE), Image.Resampling.LANCZOS)
    except Exception:  # decoders raise anything at all, and know other formats than the embedder
        return ""
    return "data:image/webp;base64," + base64.b64encode(alterations.saved(small, "WEBP", _QUALITY)).decode()
