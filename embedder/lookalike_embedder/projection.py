"""Read and write a projection: what turns R-MAC beside two grids into 512 numbers. No torch is needed.

One comes with the package, and makes the default descriptor. `tools/learn_projection.py` learned it, and learns others
from folders of photos. A projection's digest is part of the embedding space.
"""

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from lookalike_embedder.layout import COLUMNS, GRID
from lookalike_embedder.space import CHANNELS, DIMENSIONS

INPUTS: Final = CHANNELS * (1 + 2 * GRID * COLUMNS)
SHIPPED: Final = Path(__file__).with_name("layout.npz")
SHIPPED_SHA256: Final = "3fae9803d70bb7c6d3d58296c8caa248aa9feb3914afaf895f4f5cb66d1f1095"
"""It is learned from 1,390 pictures of Debian's package openclipart-png 1:0.18+dfsg-19, which are in the public domain:
those of the folders animals, buildings, containers, decorations, education, electronics, food, office, people, plants,
recreation, tools and transportation, at most 160 of each (`--most 160`)."""
_SHAPE: Final = (DIMENSIONS, INPUTS)
_REMEDY: Final = "learn one with tools/learn_projection.py"
_LEVELS: Final = 31
"""So many levels on either side of 0. With 127, the file is larger by two thirds, and nothing is gained: mean average
precision over four sets of photos differs by .0003 from that of single precision with either."""


class InvalidProjection(Exception):
    """The file holds no projection. The message says what is wrong."""


@dataclass(frozen=True)
class Projection:
    """The projection is y = steps · (levels · x), before y is normalised; see `model.head`.

    Attributes:
        levels: int8 [512, 15872].
        steps: float32 [512], what one level of a row is worth.
    """

    levels: NDArray[np.int8]
    steps: NDArray[np.float32]

    @classmethod
    def of(cls, matrix: NDArray[np.float32]) -> Self:
        """Return the projection by a matrix [512, 15872], each row rounded to 63 levels."""
        steps = np.abs(matrix).max(axis=1) / _LEVELS
        return cls(np.rint(matrix / steps[:, None]).astype(np.int8), steps.astype(np.float32))

    @property
    def matrix(self) -> NDArray[np.float32]:
        """Return the matrix, float32 [512, 15872]."""
        return self.levels * self.steps[:, None]

    @cached_property
    def sha256(self) -> str:
        """Return the digest of the levels and steps, in hexadecimal."""
        return hashlib.sha256(self.levels.tobytes() + self.steps.astype("<f4").tobytes()).hexdigest()


def shipped() -> Projection:
    """Return the projection that comes with the package.

    Raises:
        InvalidProjection: its file is not the one that was published.
    """
    found = read(SHIPPED)
    if found.sha256 != SHIPPED_SHA256:
        raise InvalidProjection(
            f"cannot use the projection in {SHIPPED}: its digest must be {SHIPPED_SHA256}, got {found.sha256}; "
            "install the package again"
        )
    return found


def read(path: Path) -> Projection:
    """Return the projection of a .npz file.

    Raises:
        InvalidProjection: the file cannot be read, or holds something else.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            levels, steps = arrays["levels"], arrays["steps"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise InvalidProjection(f"cannot use the projection in {path}: {error}; {_REMEDY}") from error
    if (levels.dtype, levels.shape, steps.shape) != (np.int8, _SHAPE, _SHAPE[:1]):
        found = f"{levels.dtype} {levels.shape} and {steps.shape}"
        raise InvalidProjection(
            f"cannot use the projection in {path}: levels must be int8 {_SHAPE} and steps of shape {_SHAPE[:1]}, got"
            f" {found}; {_REMEDY}"
        )
    if steps.dtype.kind != "f" or not (np.isfinite(steps).all() and (steps > 0).all()):
        raise InvalidProjection(f"cannot use the projection in {path}: steps must be numbers above 0; {_REMEDY}")
    return Projection(levels, steps.astype(np.float32))


def write(path: Path, projection: Projection, data: str) -> None:
    """Write a projection, 4 MB, with the names of the data that it was learned from."""
    from lookalike import atomic_file  # with it comes gRPC, which reading a projection does not need

    file = io.BytesIO()
    np.savez_compressed(file, levels=projection.levels, steps=projection.steps, learned_from=data)
    atomic_file.write(path, file.getvalue())
