"""What is indexed: vectors, each with an image's hash, size, product and labels, as messages and as rows of tables.

Labels and products are given twice, at random and along the clusters of the vectors: filters of every share of the
images come with both, as those that pass may be anywhere, or all in one corner, far from the query.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.database.halfvec import encode
from tests.bench.synthetic_vectors import Vectors

BATCH: Final = 512
ORDERS: Final = ("random", "cluster")
SHELVES: Final = 100
"""The images are split into so many shelves of equal size, and each of these into as many boxes, in each order."""
PRODUCTS: Final = 5_000
"""Of each order; half of the images have a product of the one, half of the other."""

Row = tuple[object, ...]


@dataclass(frozen=True)
class Dataset:
    """So many images.

    Attributes:
        vectors: theirs, a row each.
        space: the vectors'.
        places: of each row, for each order, a place among all rows.
        odd: whether a row's product is by clusters.
    """

    vectors: Vectors
    space: str
    places: dict[str, NDArray[np.intp]]
    odd: NDArray[np.bool_]

    @classmethod
    def of(cls, vectors: Vectors, near: NDArray[np.intp], space: str, rng: np.random.Generator) -> "Dataset":
        """The vectors, with labels by clusters where those that are `near` the same follow one another."""
        places = {"random": rng.permutation(len(vectors)), "cluster": np.empty(len(vectors), np.intp)}
        places["cluster"][np.argsort(near, kind="stable")] = np.arange(len(vectors))
        return cls(vectors, space, places, rng.random(len(vectors)) < 0.5)

    def subset(self, rows: NDArray[np.intp]) -> "Dataset":
        """A dataset of some of the rows, with numbers of its own."""
        places = {order: np.argsort(np.argsort(of_all[rows])) for order, of_all in self.places.items()}
        return Dataset(self.vectors[rows], self.space, places, self.odd[rows])

    def __len__(self) -> int:
        """How many."""
        return len(self.vectors)

    @property
    def dimensions(self) -> int:
        """Of each vector."""
        return int(self.vectors.shape[1])

    def create_project(self, name: str) -> wire.CreateProjectRequest:
        """What makes a project for it."""
        return wire.CreateProjectRequest(name=name, space=self.space, dimensions=self.dimensions)

    def first(self, count: int) -> "Dataset":
        """The first so many rows, as they are among all."""
        return Dataset(self.vectors[:count], self.space, self.places, self.odd)

    def box(self, order: str) -> NDArray[np.intp]:
        """The box that each row is in, 0 to 9,999; its shelf is the first two of these digits."""
        return self.places[order] * SHELVES**2 // len(self)

    def product(self, row: int) -> str:
        """A row's product."""
        order = ORDERS[int(self.odd[row])]
        return f"{order}-{self.places[order][row] * PRODUCTS // len(self)}"

    def labels(self, row: int) -> dict[str, str]:
        """A row's labels: shelf and box, for each order."""
        labels: dict[str, str] = {}
        for order in ORDERS:
            shelf, box = divmod(int(self.places[order][row]) * SHELVES**2 // len(self), SHELVES)
            labels |= {f"{order}-shelf": str(shelf), f"{order}-box": str(box)}
        return labels

    def requests(self, project: str, rows: range) -> list[wire.IndexImagesRequest]:
        """Messages that store these rows."""
        return [
            wire.IndexImagesRequest(
                sequence=number,
                project=project,
                entries=[self._entry(row) for row in rows[start : start + BATCH]],
            )
            for number, start in enumerate(range(0, len(rows), BATCH))
        ]

    def _entry(self, row: int) -> wire.ImageEntry:
        reference = wire.Reference(uri=uri_of(row), product=self.product(row), labels=self.labels(row))
        return wire.ImageEntry(
            sha256=sha256_of(row),
            embedding=self.embedding(self.vectors[row]),
            width=800,
            height=600,
            reference=reference,
        )

    def embedding(self, vector: Vectors) -> common.Embedding:
        """A vector as it travels."""
        return common.Embedding(space=self.space, values=vector.tolist())

    def records(self, rows: Sequence[int]) -> tuple[list[Row], ...]:
        """The same rows as the tables hold them: images, vectors, references."""
        images: list[Row] = [(row + 1, sha256_of(row), 800, 600) for row in rows]
        halves = encode(self.vectors[list(rows)])
        vectors: list[Row] = [(row + 1, half) for row, half in zip(rows, halves, strict=True)]
        references: list[Row] = [
            (row + 1, uri_of(row), self.product(row), "", False, json.dumps(self.labels(row))) for row in rows
        ]
        return images, vectors, references


COLUMNS: Final[tuple[Sequence[str], ...]] = (
    ("id", "sha256", "width", "height"),
    ("image_id", "vector"),
    ("image_id", "uri", "product", "variant", "staged", "labels"),
)
"""Of the records."""


def sha256_of(row: int) -> bytes:
    """The hash of a row's image."""
    return hashlib.sha256(row.to_bytes(8)).digest()


def uri_of(row: int) -> str:
    """Where a row's image lives."""
    return f"https://shop.example/images/{row:08d}.jpg"
