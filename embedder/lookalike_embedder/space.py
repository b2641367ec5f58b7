"""Compute the name of the embedding space, under which vectors may be compared."""

import hashlib
from dataclasses import dataclass
from typing import Final

from lookalike_embedder.preprocessing import VGG16
from lookalike_embedder.rmac import LEVELS

ARCHITECTURE: Final = "vgg16-rmac512"
DIMENSIONS: Final = 512

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


def vgg16(weights_sha256: str, int8: str = "") -> Identity:
    """Return the identity of VGG16 with these weights; see `space_of`."""
    return Identity(space_of(weights_sha256, int8), DIMENSIONS, ARCHITECTURE, weights_sha256)


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


def space_of(weights_sha256: str, int8: str = "") -> str:
    """Return the space of trunk weights with the given digest, under this code's preprocessing and head.

    Device and floating-point precision are not part of it: they change vectors too little to change a ranking (cosine ≥
    .999, tested). int8 is a space of its own, by the digest of its calibration.
    """
    recipe = "|".join((weights_sha256, PREPROCESSING, f"mean{MEAN}", f"conv5_3,rmac{LEVELS},l2"))
    if int8:
        recipe += f"|int8-{int8}"
    return f"{ARCHITECTURE}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
