"""Compute the name of the embedding space, under which vectors may be compared."""

import hashlib
from typing import Final

from lookalike_embedder.image import PREPROCESSING
from lookalike_embedder.rmac import LEVELS

ARCHITECTURE: Final = "vgg16-rmac512"
PROJECTED: Final = "vgg16-grid512"
"""The architecture with a projection: R-MAC beside a grid, see `projection`."""
DIMENSIONS: Final = 512
CHANNELS: Final = 512
"""The feature maps of conv5_3, so many numbers for each cell."""

MEAN: Final = (0.48235, 0.45882, 0.40784)
"""The mean is subtracted from RGB in [0, 1]; the deviation is 1/255. See torchvision's `IMAGENET1K_FEATURES`."""


def architecture_of(projection: str = "") -> str:
    """Return the name of the architecture, with the projection of this digest or without one."""
    return PROJECTED if projection else ARCHITECTURE


def space_of(weights_sha256: str, int8: str = "", projection: str = "") -> str:
    """Return the space of trunk weights with the given digest, under this code's preprocessing and head.

    Device and floating-point precision are not part of it: they change vectors too little to change a ranking (cosine ≥
    .999, tested). int8 is a space of its own, by the digest of its calibration, and so is each projection.
    """
    recipe = "|".join((weights_sha256, PREPROCESSING, f"mean{MEAN}", f"conv5_3,rmac{LEVELS},l2"))
    if projection:
        recipe += f"|grid-{projection}"
    if int8:
        recipe += f"|int8-{int8}"
    return f"{architecture_of(projection)}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
