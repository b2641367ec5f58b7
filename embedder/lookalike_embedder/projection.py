"""Read and write a projection: what turns R-MAC beside a grid into 512 numbers. No torch is needed.

`tools/learn_projection.py` learns one from folders of photos. Its digest is part of the embedding space.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lookalike_embedder.space import CHANNELS, DIMENSIONS

GRID: Final = 3
"""Beside R-MAC stand the means of so many by so many cells of the feature map: layout beside content."""
INPUTS: Final = CHANNELS * (1 + GRID * GRID)
_SHAPES: Final = {"matrix": (DIMENSIONS, INPUTS), "offset": (DIMENSIONS,)}


class InvalidProjection(Exception):
    """The file holds no projection. The message says what is wrong."""


@dataclass(frozen=True)
class Projection:
    """The projection is y = matrix · x + offset, before y is normalised; see `model.head`.

    Attributes:
        matrix: float16 [512, 5120], as it is stored.
        offset: float32 [512]: what the mean of x becomes, subtracted.
    """

    matrix: NDArray[np.float16]
    offset: NDArray[np.float32]

    @cached_property
    def sha256(self) -> str:
        """Return the digest over both, in hexadecimal."""
        total = hashlib.sha256(np.ascontiguousarray(self.matrix, "<f2").data)
        total.update(np.ascontiguousarray(self.offset, "<f4").data)
        return total.hexdigest()

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return vectors [n, 512] of length 1 from R-MAC beside a grid [n, 5120]."""
        projected = rows @ self.matrix.astype(np.float32).T + self.offset
        return np.asarray(projected / np.linalg.norm(projected, axis=1, keepdims=True), np.float32)


def read(path: Path) -> Projection:
    """Return the projection of a .safetensors file.

    Raises:
        InvalidProjection: the file cannot be read, or holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InvalidProjection(f"cannot use the projection in {path}: {error}") from error
    for name, shape in _SHAPES.items():
        tensor = tensors.get(name)
        if tensor is None or tensor.shape != shape or not np.isfinite(tensor).all():
            found = "none" if tensor is None else f"shape {tensor.shape}, {np.isnan(tensor).sum()} no numbers"
            raise InvalidProjection(
                f"cannot use the projection in {path}: tensor {name} must be numbers of shape {shape}, got {found}"
            )
    return Projection(tensors["matrix"].astype(np.float16), tensors["offset"].astype(np.float32))


def write(path: Path, projection: Projection, data: str) -> None:
    """Write a projection, some 5 MB, with the names of the data that it was learned from."""
    from safetensors.numpy import save

    from lookalike import atomic_file  # with it comes gRPC, which reading a projection does not need

    tensors: dict[str, np.ndarray] = {"matrix": projection.matrix, "offset": projection.offset}
    atomic_file.write(path, save(tensors, metadata={"learned_from": data}))
