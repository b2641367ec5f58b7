"""Compare the GPU's vectors with the CPU's in fp32: each precision, each batch size, with and without graphs."""

import gc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike_embedder.errors import OutOfMemory
from lookalike_embedder.job import Lane
from lookalike_embedder.model import CpuModel
from lookalike_embedder.projection import shipped
from tools.gpu.record import Record
from tools.gpu.setting import Setting

_SIZES: Final = (1, 2, 3, 4, 8, 16, 32, 64, 128, 256)
_DISTINCT: Final = 64
"""The CPU computes so many photos; larger batches repeat them."""
_MIN_COSINE: Final = 0.999
_MIN_COSINE_SAME: Final = 0.9999
_ROUNDS: Final = 20

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class _References:
    """Photos with their vectors by the CPU, and the sizes of the batches that are made of them."""

    pixels: Sequence[Any]
    expected: Vectors
    sizes: Sequence[int]

    def batch(self, size: int) -> tuple[list[Any], Vectors]:
        """Return `size` photos, repeated if there are fewer, and their vectors."""
        places = [number % len(self.pixels) for number in range(size)]
        return [self.pixels[place] for place in places], self.expected[places]


def run(setting: Setting, record: Record) -> None:
    """Run the comparisons that `docs/embedder.md` describes."""
    sizes = (1, 2) if setting.short else _SIZES
    pixels = setting.pixels[: min(_DISTINCT, max(sizes))]
    expected = CpuModel(setting.trunk.tensors, "fp32", projection=shipped())(pixels)
    cosines_between = expected @ expected.T - 2 * np.eye(len(expected), dtype=np.float32)
    record.figure(
        "cosine_of_different_photos", float(cosines_between.max()), "the CPU's; what is close must be closer than this"
    )
    references = _References(pixels, expected, sizes)
    min_cosines = []
    for precision in ("fp32", "bf16", "fp16"):
        for captures in (True, False) if setting.device == "cuda" else (False,):
            name = f"cosine_{precision}_{'graphs' if captures else 'eager'}"
            try:
                min_cosines.append(
                    _of_precision(name, setting.model(precision, captures=captures), references, setting, record)
                )
            except Exception as error:  # other precisions may still succeed
                record.figure(name, 0.0, f"{type(error).__name__}: {error}"[:300], least=_MIN_COSINE)
                min_cosines.append(0.0)
            _give_back(setting)
    record.figure("gpu_min_cosine", min(min_cosines), "to the CPU's fp32, over all of these", least=_MIN_COSINE)


def _of_precision(name: str, model: Any, references: _References, setting: Setting, record: Record) -> float:  # noqa: ANN401
    """Return the least cosine of a precision, with graphs or without."""
    min_cosine, error = _beside(model, references)
    on = f"batches of {', '.join(map(str, references.sizes))} in both lanes; relative error at most {error:.2g}"
    record.figure(name, min_cosine, on, least=_MIN_COSINE)
    if name.endswith("graphs"):
        record.figure(f"graphs_{model.precision}", model.graphs, "captured, over both lanes", least=2)
    if model.precision == setting.chosen_precision:
        min_cosine = min(min_cosine, _together(model, references, record))
    return min_cosine


def _give_back(setting: Setting) -> None:
    """Free a model's memory. It and its workers refer to each other, so that only the garbage collector frees them."""
    gc.collect()
    if setting.device == "cuda":
        torch.cuda.empty_cache()


def cosines(first: Vectors, second: Vectors) -> Vectors:
    """Return the cosines of pairs of vectors of length 1; a cosine that is not a number counts as 0."""
    products: Vectors = np.nan_to_num((first * second).sum(axis=1), nan=0.0)
    return products


def _beside(model: Any, references: _References) -> tuple[float, float]:  # noqa: ANN401
    """Return the least cosine and the largest relative error, for all batch sizes that fit into memory."""
    min_cosine, error = 1.0, 0.0
    for size, lane in product(references.sizes, Lane):
        pixels, expected = references.batch(size)
        try:
            vectors = model(pixels, lane)
        except OutOfMemory:
            break
        min_cosine = min(min_cosine, float(cosines(vectors, expected).min()))
        error = max(error, float(np.nan_to_num(np.linalg.norm(vectors - expected, axis=1), nan=9.0).max()))
    return min_cosine, error


def _together(model: Any, references: _References, record: Record) -> float:  # noqa: ANN401
    """Compare one image alone and in a batch, and the same batch twice.

    Returns the least cosine with all workers busy.
    """
    size = min(max(references.sizes), 32)
    batch, expected = references.batch(size)
    whole = model(batch, Lane.BULK)
    record.figure("deterministic", bool(np.array_equal(whole, model(batch, Lane.BULK))), "to the bit", least=1)
    alone = np.concatenate([model(batch[number : number + 1]) for number in range(min(size, 8))])
    same = float(cosines(alone, whole[: len(alone)]).min())
    record.figure("cosine_alone_and_in_a_batch", same, f"in batches of 1 and {size}", least=_MIN_COSINE_SAME)
    rounds = _ROUNDS if size > 2 else 1

    def worker(lane: Lane, count: int) -> float:
        return min(float(cosines(model(batch[:count], lane), expected[:count]).min()) for _ in range(rounds))

    tasks = ((Lane.BULK, size), (Lane.BULK, max(1, size // 2)), (Lane.INTERACTIVE, 1))
    with ThreadPoolExecutor(len(tasks)) as pool:
        min_cosine = min(pool.map(lambda task: worker(*task), tasks))
    on = f"{rounds} rounds of two bulk workers and one beside"
    record.figure("cosine_all_workers_at_once", min_cosine, on, least=_MIN_COSINE)
    return min_cosine
