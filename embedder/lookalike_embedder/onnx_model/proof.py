"""Prove at start that a model's vectors can be used: by computing some."""

from typing import TYPE_CHECKING, Final

import numpy as np

from lookalike_embedder.errors import InvalidModel
from lookalike_embedder.job import Lane

if TYPE_CHECKING:
    from lookalike_embedder.onnx_model.compute import OnnxModel

MAX_DIMENSIONS: Final = 4000
"""The searcher's index takes no vectors of more."""
_LENGTH_TOLERANCE: Final = 0.01
_SAME: Final = 0.999
"""A picture's vector alone and in a batch, and in both lanes, must have this cosine."""


def dimensions(model: "OnnxModel") -> int:
    """Return how many dimensions the model's vectors have.

    Raises:
        InvalidModel: its output has another shape than the TOML says, or no numbers of use, or a picture's vector
            depends on those beside it.
    """
    said, size = model.said, model.preprocessing.size
    noise = list(np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8))
    output = model.output(noise[:1])
    ranks = {"none": (2,), "first": (3,)}.get(said.pooling, (3, 4))
    if output.ndim not in ranks or len(output) != 1:
        raise InvalidModel(
            f"model: output {said.output_name!r} is {list(output.shape)} for one image, which does not fit"
            f" {said.place('output.pooling')}"
        )
    alone, together = model(noise[:1]), model(noise[: model.largest_batch], Lane.BULK)
    count = int(alone.shape[1])
    if not 1 <= count <= MAX_DIMENSIONS:
        raise InvalidModel(f"model: vectors must have 1 to {MAX_DIMENSIONS:,} dimensions, these have {count:,}")
    if not (np.isfinite(alone).all() and np.isfinite(together).all()):
        raise InvalidModel("model: the vector of a picture of noise has what is no number, or no length")
    length = float(np.linalg.norm(alone))
    if abs(length - 1) > _LENGTH_TOLERANCE:
        raise InvalidModel(
            f"model: vectors must have length 1, this one has {length:.3g}; see {said.place('output.normalisation')}"
        )
    if (cosine := float(alone[0] @ together[0])) < _SAME:
        raise InvalidModel(
            f"model: the vector of a picture must be the same alone and in a batch; their cosine is {cosine:.4f}, at"
            f" least {_SAME} is needed. Was the model exported in training mode?"
        )
    return count
