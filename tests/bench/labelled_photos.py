"""What quality is measured on: folders of labelled photos, described in three ways by the same trunk."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from lookalike.demo.photos import shipped_photos
from lookalike.evaluation import labels
from lookalike.evaluation.labels import Labelled
from lookalike.evaluation.ranking import Vectors
from lookalike.ranking_metrics import Counts
from lookalike_embedder import image
from lookalike_embedder.errors import InvalidImage
from lookalike_embedder.image import Pixels
from lookalike_embedder.model import CpuModel, CudaModel
from lookalike_embedder.model.head import Head, rmac
from lookalike_embedder.projection import shipped
from tests.bench.descriptors import cuttings
from tests.bench.setting import LIMITS
from tools.learn_projection import maps_of

Model = CpuModel | CudaModel
FILE: Final = "labels.csv"


class Descriptors(NamedTuple):
    """Three of one photo: flattened pool5, R-MAC alone, and ours. The last two are as they would be stored."""

    flattened: NDArray[np.float16]
    rmac: Vectors
    ours: Vectors


@dataclass(frozen=True)
class Set:
    """Photos and what each shows.

    Attributes:
        name: the folder's.
        files: the photos' contents are read from here.
        photo_labels: a number for each.
        flattened: pool5 as it is, 25,088 dimensions: the descriptor to be better than.
        rmac: R-MAC alone, the default before.
        vectors: ours, as they are stored: in half precision.
        skipped: how many photos could not be decoded, or were there twice.
    """

    name: str
    files: Sequence[Path]
    photo_labels: Counts
    flattened: NDArray[np.float16]
    rmac: Vectors
    vectors: Vectors
    skipped: int

    @cached_property
    def label_count(self) -> int:
        """How many different labels."""
        return len(np.unique(self.photo_labels))


def read(folders: Sequence[Path], scratch: Path, most: int | None) -> Iterator[Labelled]:
    """The sets of these folders, at most so many photos of each label; without one, what ships in the extras.

    The latter: twenty windows of each of the demo's photos, which bear the photo's name.
    """
    for folder in folders or [_shipped(scratch)]:
        yield labels.read(folder / FILE, most)


def described(chosen: Labelled, model: Model) -> Set:
    """Every photo of the set, through the trunk once."""
    files, names, found = [], [], []
    for photo in chosen.photos:
        try:
            pixels = pixels_of(photo.path.read_bytes())
        except InvalidImage as error:
            print(f"left out: {photo.path}: {error.message}")
            continue
        files.append(photo.path)
        names.append(photo.label)
        found.append(descriptors_of(model, pixels))
    return Set(
        name=chosen.path.parent.name,
        files=files,
        photo_labels=np.unique(names, return_inverse=True)[1].astype(np.int64),
        flattened=np.array([one.flattened for one in found], np.float16),
        rmac=np.array([one.rmac for one in found], np.float32),
        vectors=np.array([one.ours for one in found], np.float32),
        skipped=len(chosen.left_out) + len(chosen.photos) - len(files),
    )


def pixels_of(data: bytes) -> Pixels:
    """As the embedder decodes it."""
    return image.decode(data, limits=LIMITS)[1]


def descriptors_of(model: Model, pixels: Pixels) -> Descriptors:
    """Of one photo, through the trunk once."""
    maps = maps_of(model, pixels)
    regional, ours = (stored(head(maps).numpy())[0] for head in _heads())
    return Descriptors(_flat(maps.conv5), regional, ours)


@cache
def _heads() -> tuple[Head, Head]:
    """R-MAC alone, and the default one."""
    return Head(rmac), Head(rmac, shipped())


def stored(vectors: Vectors) -> Vectors:
    """As PostgreSQL gives them back."""
    return vectors.astype(np.float16).astype(np.float32)


def _flat(features: torch.Tensor) -> NDArray[np.float16]:
    pooled = functional.normalize(functional.max_pool2d(features, 2).flatten(1))
    return np.asarray(pooled[0].numpy(), np.float16)


def _shipped(scratch: Path) -> Path:
    """A folder as a user has it."""
    folder = scratch / "shipped"
    photos = shipped_photos()
    made = cuttings(photos, folder)
    each = len(made) // len(photos)
    with (folder / FILE).open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label"))
        rows.writerows((path.name, photos[number // each].stem) for number, path in enumerate(made))
    return folder
