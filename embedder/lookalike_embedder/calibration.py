"""Load the calibration of int8: how far activations grow from one convolution to the next. No torch is needed.

The calibration is twelve numbers, measured once over photos (see `model.onednn.growth_of`). Those for the published
weights come with the package, measured over the demo's photos. Other weights are calibrated by
`lookalike-embedder calibrate FOLDER`, which writes to the cache.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lookalike_embedder.weights import POSITIONS

SHIPPED: Final = Path(__file__).with_name("calibration.json")


class Uncalibrated(Exception):
    """There is no calibration for these weights. The message says what to do."""


def find(cache: Path, weights_sha256: str) -> tuple[float, ...]:
    """Return the calibration for the weights with this digest, from the package or from the cache.

    Raises:
        Uncalibrated: there is none, or its file is broken.
    """
    for file in (SHIPPED, cache_file(cache, weights_sha256)):
        try:
            calibration = json.loads(file.read_text())
            if calibration["weights_sha256"] == weights_sha256:
                return _checked(calibration["growth"])
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError) as error:
            raise Uncalibrated(f"cannot use the calibration in {file}: {error}") from error
    raise Uncalibrated(
        f"precision: int8 has no calibration for the weights {weights_sha256}; measure one with"
        " `lookalike-embedder … calibrate FOLDER` over some dozens of typical photos"
    )


def keep(file: Path, weights_sha256: str, growth: Sequence[float]) -> None:
    """Write a calibration to its file, and create the folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rounded = [float(f"{ratio:.6g}") for ratio in growth]
    from lookalike import atomic_file  # with it comes gRPC, which reading a calibration does not need

    atomic_file.write(file, json.dumps({"weights_sha256": weights_sha256, "growth": rounded}) + "\n")


def cache_file(cache: Path, weights_sha256: str) -> Path:
    """Return where a calibration for the weights with this digest is kept."""
    return cache / f"vgg16-{weights_sha256[:16]}-int8.json"


def digest(growth: Sequence[float]) -> str:
    """Return the digest of a calibration, which is part of the embedding space."""
    return hashlib.sha256(json.dumps(list(growth)).encode()).hexdigest()[:16]


def _checked(growth: Sequence[float]) -> tuple[float, ...]:
    if len(growth) != len(POSITIONS) - 1 or not all(ratio > 0 for ratio in growth):
        raise ValueError(f"{len(POSITIONS) - 1} numbers above 0 are needed, got {growth}")
    return tuple(float(ratio) for ratio in growth)
