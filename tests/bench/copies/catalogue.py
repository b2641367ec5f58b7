"""Describe photos in all ways that are compared: by vector, by fingerprint, and by two perceptual hashes."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import imagehash
import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image

from lookalike.evaluation import alterations
from lookalike.evaluation.labels import Labelled
from lookalike_embedder import image
from lookalike_embedder.errors import InvalidImage
from lookalike_searcher.copies.sides import Side
from lookalike_serving.fingerprint import Fingerprint, making
from tests.bench.labelled_photos import Model, stored
from tests.bench.setting import LIMITS

Vector = NDArray[np.float32]
Hash = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Described:
    """A photo, or a copy of one.

    Attributes:
        vector: None if nothing is ranked.
        phash: of 64 bits.
        pdq: of 256 bits.
    """

    fingerprint: Fingerprint
    vector: Vector | None
    phash: Hash
    pdq: Hash

    @cached_property
    def side(self) -> Side:
        """What is compared."""
        return Side.of(self.fingerprint)


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The photos of a set, all of which are ranked, with those of the other sets.

    Attributes:
        others: the photos of the other sets: their rows follow those of its own.
    """

    name: str
    paths: Sequence[Path]
    labels: Sequence[str]
    photos: Sequence[Described]
    others: Sequence[Described] = ()

    @cached_property
    def ranked(self) -> Sequence[Described]:
        """All that are ranked."""
        return [*self.photos, *self.others]

    @cached_property
    def vectors(self) -> Vector:
        """A row for each photo that is ranked."""
        return np.array([photo.vector for photo in self.ranked], np.float32)

    def nearest(self, vector: Vector, count: int) -> list[int]:
        """The rows of the nearest photos, nearest first."""
        return [int(row) for row in np.argsort(-(self.vectors @ vector))[:count]]

    def is_of_label(self, row: int, label: str) -> bool:
        """Whether the photo is of this set and shows this."""
        return row < len(self.labels) and self.labels[row] == label

    def sample(self, count: int, seed: int = 0) -> list[int]:
        """Rows of which copies are made: the same each time."""
        return random.Random(seed).sample(range(len(self.photos)), min(count, len(self.photos)))  # noqa: S311 - no secret

    def companions(self, row: int) -> list[int]:
        """Rows of three photos of other labels, to be put beside this one."""
        others = [other for other, label in enumerate(self.labels) if label != self.labels[row]]
        return random.Random(row).sample(others, 3)  # noqa: S311 - no secret

    def upright(self, row: int) -> Image.Image:
        """The photo itself."""
        return alterations.upright(self.paths[row].read_bytes())


def described(data: bytes, model: Model | None) -> Described:
    """Describe one image file as the embedder does, and by hashes of the upright picture."""
    info, pixels = image.decode(data, limits=LIMITS)
    picture = alterations.upright(data)
    return Described(
        making.make(pixels, info.width, info.height),
        stored(model([pixels]))[0] if model else None,
        imagehash.phash(picture).hash.ravel(),
        pdqhash.compute(np.asarray(picture))[0].astype(np.bool_),
    )


def catalogue(chosen: Labelled, model: Model | None) -> Catalogue:
    """Describe each photo of a set."""
    paths, labels, photos = [], [], []
    for photo in chosen.photos:
        try:
            photos.append(described(photo.path.read_bytes(), model))
        except InvalidImage as error:
            print(f"left out: {photo.path}: {error.message}")
            continue
        paths.append(photo.path)
        labels.append(photo.label)
    return Catalogue(chosen.path.parent.name, paths, labels, photos)
