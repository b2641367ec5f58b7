"""What quality is measured on: folders of labelled photos, described in three ways by the same trunk."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

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
from lookalike_embedder.model import CpuModel, CudaModel, load
from lookalike_embedder.model.head import rmac
from lookalike_embedder.projection import shipped
from tests.bench.descriptors import cuttings
from tests.bench.setting import LIMITS, trunk
from tools.learn_projection import maps_of

Model = CpuModel | CudaModel
FILE: Final = "labels.csv"


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
    """Every photo of the set, through the trunk once for each descriptor."""
    files, names, flattened, regional, vectors = [], [], [], [], []
    for photo in chosen.photos:
        try:
            pixels = pixels_of(photo.path.read_bytes())
        except InvalidImage as error:
            print(f"left out: {photo.path}: {error.message}")
            continue
        features = features_of(model, pixels)
        files.append(photo.path)
        names.append(photo.label)
        flattened.append(_flat(features))
        regional.append(stored(rmac(features).numpy())[0])
        vectors.append(vector_of(model, pixels))
    return Set(
        name=chosen.path.parent.name,
        files=files,
        photo_labels=np.unique(names, return_inverse=True)[1].astype(np.int64),
        flattened=np.array(flattened, np.float16),
        rmac=np.array(regional, np.float32),
        vectors=np.array(vectors, np.float32),
        skipped=len(chosen.left_out) + len(chosen.photos) - len(files),
    )


def load_model() -> Model:
    """The default model, in the precision that suits this machine."""
    return load(trunk().tensors, projection=shipped())


def pixels_of(data: bytes) -> Pixels:
    """As the embedder decodes it."""
    return image.decode(data, limits=LIMITS)[1]


def features_of(model: Model, pixels: Pixels) -> torch.Tensor:
    """Conv5_3 of one photo: [1, 512, 14, 14] on the CPU."""
    return maps_of(model, pixels).conv5


def vector_of(model: Model, pixels: Pixels) -> Vectors:
    """Our vector of one photo, as it is stored."""
    return np.asarray(stored(model([pixels]))[0])


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
