"""Compute the name of the embedding space, under which vectors may be compared."""

import hashlib
from dataclasses import dataclass
from typing import Final

from lookalike_embedder.layout import COLUMNS, GRID, SPREAD, WEIGHT
from lookalike_embedder.preprocessing import VGG16
from lookalike_embedder.rmac import LEVELS

LAYOUT: Final = "vgg16-layout512"
"""The default architecture: R-MAC beside two grids, projected; see `layout` and `projection`."""
RMAC: Final = "vgg16-rmac512"
"""R-MAC alone, the default before."""
DIMENSIONS: Final = 512
CHANNELS: Final = 512
"""The feature maps of conv5_3, so many numbers for each cell."""

PREPROCESSING: Final = VGG16.recipe

MEAN: Final = (0.48235, 0.45882, 0.40784)
"""The mean is subtracted from RGB in [0, 1]; the deviation is 1/255. See torchvision's `IMAGENET1K_FEATURES`."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a model is the same on every machine.

    Attributes:
        space: the embedding space of its vectors.
        dimensions: how many numbers a vector has.
        architecture: the name of its architecture.
        weights_sha256: the digest of its weights, in hexadecimal.
    """

    space: str
    dimensions: int
    architecture: str
    weights_sha256: str


def vgg16(weights_sha256: str, int8: str = "", projection: str = "") -> Identity:
    """Return the identity of VGG16 with these weights; see `space_of`."""
    return Identity(space_of(weights_sha256, int8, projection), DIMENSIONS, architecture_of(projection), weights_sha256)


def onnx(name: str, sha256: str, recipe: str, dimensions: int) -> Identity:
    """Return the identity of an ONNX file.

    Args:
        name: the name of its architecture.
        sha256: the digest of the file, in hexadecimal.
        recipe: all that its TOML says and that changes a vector.
        dimensions: how many numbers a vector has.
    """
    digest = hashlib.sha256(f"{sha256}|{recipe}".encode()).hexdigest()
    return Identity(f"{name}-{digest[:12]}", dimensions, name, sha256)


def architecture_of(projection: object) -> str:
    """Return the name of the architecture, with a projection or without one."""
    return LAYOUT if projection else RMAC


def space_of(weights_sha256: str, int8: str = "", projection: str = "") -> str:
    """Return the space of trunk weights with the given digest, under this code's preprocessing and head.

    Device and floating-point precision are not part of it: they change vectors too little to change a ranking (cosine ≥
    .999, tested). int8 is a space of its own, by the digest of its calibration, and so is each projection.
    """
    recipe = "|".join((weights_sha256, PREPROCESSING, f"mean{MEAN}", f"conv5_3,rmac{LEVELS},l2"))
    if projection:
        recipe += f"|pool4 and conv5_3,grids{GRID}x{COLUMNS},{WEIGHT},{SPREAD}|projection-{projection}"
    if int8:
        recipe += f"|int8-{int8}"
    return f"{architecture_of(projection)}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
