"""Read and write a projection: what turns R-MAC beside two grids into 512 numbers. No torch is needed.

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

GRID: Final = 5
"""Beside R-MAC stand the maxima of so many by so many cells of two feature maps: layout beside content."""
INPUTS: Final = CHANNELS * (1 + 2 * GRID * GRID)
_SHAPE: Final = (DIMENSIONS, INPUTS)


class InvalidProjection(Exception):
    """The file holds no projection. The message says what is wrong."""


@dataclass(frozen=True)
class Projection:
    """The projection is y = matrix · x, before y is normalised; see `model.head`.

    Attributes:
        matrix: float16 [512, 26112], as it is stored.
    """

    matrix: NDArray[np.float16]

    @cached_property
    def sha256(self) -> str:
        """Return the digest of the matrix, in hexadecimal."""
        return hashlib.sha256(np.ascontiguousarray(self.matrix, "<f2").data).hexdigest()

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return vectors [n, 512] of length 1 from R-MAC beside two grids [n, 26112]."""
        projected = rows @ self.matrix.astype(np.float32).T
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
    matrix = tensors.get("matrix")
    if matrix is None or matrix.shape != _SHAPE or not np.isfinite(matrix).all():
        found = "none" if matrix is None else f"shape {matrix.shape}, {np.isnan(matrix).sum()} no numbers"
        raise InvalidProjection(
            f"cannot use the projection in {path}: tensor matrix must be numbers of shape {_SHAPE}, got {found}; "
            "learn it again with tools/learn_projection.py"
        )
    return Projection(matrix.astype(np.float16))


def write(path: Path, projection: Projection, data: str) -> None:
    """Write a projection, 27 MB, with the names of the data that it was learned from."""
    from safetensors.numpy import save

    from lookalike import atomic_file  # with it comes gRPC, which reading a projection does not need

    atomic_file.write(path, save({"matrix": projection.matrix}, metadata={"learned_from": data}))
