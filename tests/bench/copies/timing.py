"""Measure what fingerprints cost: to make one beside the model, and to verify twenty."""

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Final

from lookalike_embedder import image
from lookalike_searcher.copies.sides import Side
from lookalike_searcher.copies.verification import verify
from lookalike_serving.fingerprint import Fingerprint, making
from tests.bench.copies.catalogue import Catalogue
from tests.bench.figures import Figure
from tests.bench.labelled_photos import Model
from tests.bench.setting import LIMITS

_TURNS: Final = 20
_CANDIDATES: Final = 20
_THREADS: Final = 2


def measure(own: Catalogue, model: Model | None) -> list[Figure]:
    """The figures of one set."""
    sizes = statistics.median(len(photo.fingerprint) for photo in own.photos)
    return [
        Figure(f"fingerprint_bytes_of.{own.name}", sizes, "median"),
        *_verifying(own),
        *([_pace(own, model)] if model else []),
    ]


def _verifying(own: Catalogue) -> list[Figure]:
    """A copy beside its original and nineteen others, and beside twenty others; from bytes, as they are stored."""
    among, alone = [], []
    with ThreadPoolExecutor(_THREADS) as threads:
        for row in own.sample(_TURNS):
            query = own.photos[row]
            nearest = range(_CANDIDATES + 1) if query.vector is None else own.nearest(query.vector, _CANDIDATES + 1)
            others = [own.photos[other].fingerprint for other in nearest if other != row][:_CANDIDATES]
            copy = _mirrored(own, row)
            among.append(_seconds(threads, copy, [query.fingerprint, *others[1:]]))
            alone.append(_seconds(threads, copy, others))
    on = f"median of {len(among)}, {_THREADS} threads, the others the nearest there are"
    return [
        Figure(f"verify_20_ms_of.{own.name}", 1000 * statistics.median(among), f"one of 20 is the original; {on}"),
        Figure(f"verify_20_without_original_ms.{own.name}", 1000 * statistics.median(alone), on),
    ]


def _mirrored(own: Catalogue, row: int) -> Fingerprint:
    info, pixels = image.decode(own.paths[row].read_bytes(), limits=LIMITS)
    return making.make(pixels[:, ::-1].copy(), info.width, info.height)


def _seconds(threads: Executor, query: Fingerprint, others: list[Fingerprint]) -> float:
    began = time.perf_counter()
    side = Side.of(query)
    list(threads.map(lambda other: verify(side, Side.of(other)), others))
    return time.perf_counter() - began


def _pace(own: Catalogue, model: Model) -> Figure:
    """The model's pace with fingerprints made on the same cores, over its pace without."""
    computing, making_ = [], []
    for row in own.sample(_TURNS):
        info, pixels = image.decode(own.paths[row].read_bytes(), limits=LIMITS)
        computing.append(_processor_seconds(partial(model, [pixels])))
        making_.append(_processor_seconds(partial(making.make, pixels, info.width, info.height)))
    kept = statistics.median(one / (one + other) for one, other in zip(computing, making_, strict=True))
    on = f"processor time of the model over that of both, {model.precision}, {os.cpu_count()} cores"
    return Figure(f"embedder_pace_kept_of.{own.name}", kept, on)


def _processor_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
