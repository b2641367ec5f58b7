"""Provide the trunk's weights: those of a file, the embedder's, or random ones. Speed does not depend on them."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lookalike_embedder.weights import PUBLISHED_SHA256, SHAPES, cache_file, digest

_DTYPES: Final = {"F32": np.float32, "F16": np.float16}


@dataclass(frozen=True)
class Trunk:
    """The trunk has tensors by torchvision's names, float32, with their digest and their source."""

    tensors: dict[str, NDArray[np.float32]]
    sha256: str
    source: str


def find(file: Path | None) -> Trunk:
    """Return the weights of a file, also in half precision; else the embedder's own; else random ones."""
    path = file or cache_file(_cache_dir(), PUBLISHED_SHA256)
    if file or path.exists():
        tensors = read(path)
        return Trunk(tensors, digest(tensors), str(file or "the embedder's cache"))
    tensors = random_tensors()
    return Trunk(tensors, digest(tensors), "made: random, of the right scale in each layer; speed is the same")


def read(path: Path) -> dict[str, NDArray[np.float32]]:
    """Return the trunk's tensors in a .safetensors file. Its library is compiled; the format is simple.

    Eight bytes hold the length of the header, the header is JSON, and the values follow as in memory.
    """
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    if missing := SHAPES.keys() - header.keys():
        raise SystemExit(f"gpu_check: {path} lacks {', '.join(sorted(missing))}")
    tensors = {}
    for name, shape in SHAPES.items():
        kind, (begin, end) = header[name]["dtype"], header[name]["data_offsets"]
        raw = data[start + begin : start + end]
        if kind == "BF16":
            values = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
        elif kind in _DTYPES:
            values = np.frombuffer(raw, _DTYPES[kind]).astype(np.float32)
        else:
            raise SystemExit(f"gpu_check: {path}: {name} must be F32, F16 or BF16, got {kind}")
        tensors[name] = values.reshape(shape)
    return tensors


def random_tensors() -> dict[str, NDArray[np.float32]]:
    """Return random kernels by He's rule: activations keep their scale through ReLUs, and neither vanish nor overflow.

    He, Zhang, Ren, Sun: "Delving deep into rectifiers", ICCV 2015: a variance of 2 over the inputs of a neuron.
    """
    random = np.random.default_rng(0)
    return {
        name: (random.standard_normal(shape, np.float32) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
        if len(shape) == 4
        else np.zeros(shape, np.float32)
        for name, shape in SHAPES.items()
    }


def _cache_dir() -> Path:
    """Return the folder in which the embedder keeps weights, as platformdirs finds it on Linux."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lookalike"
    return Path(os.environ.get("LOOKALIKE_CACHE_DIR") or default)
