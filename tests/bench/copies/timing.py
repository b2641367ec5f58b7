"""Measure what fingerprints cost: to make one beside the model, and to verify twenty."""

import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from lookalike_embedder import image
from lookalike_embedder.job import Lane
from lookalike_searcher.copies.sides import Side
from lookalike_searcher.copies.verification import verify
from lookalike_serving.fingerprint import Fingerprint, making
from tests.bench.copies.catalogue import Catalogue
from tests.bench.figures import Figure
from tests.bench.labelled_photos import Model
from tests.bench.setting import LIMITS

_TURNS: Final = 20
_CANDIDATES: Final = 20

Taken = tuple[float, float]
"""Seconds by the clock, and of the thread's processor: other work on the machine lengthens the former most.

The process's own would count the model's threads too, which look out for more work for a while after each call."""


def measure(own: Catalogue, model: Model | None) -> list[Figure]:
    """The figures of one set."""
    sizes = statistics.median(len(photo.fingerprint) for photo in own.photos)
    return [
        Figure(f"fingerprint_bytes_of.{own.name}", sizes, "median"),
        *_verifying(own),
        *([_pace(own, model)] if model else []),
    ]


def _verifying(own: Catalogue) -> list[Figure]:
    """A mirrored copy beside its original and the nearest others, beside those alone, and beside any others.

    From bytes, as they are stored, in one thread, as the searcher does it.
    """
    figures = []
    found: dict[str, list[Taken]] = {"verify_20": [], "verify_20_without_original": [], "verify_20_none_near": []}
    for row in own.sample(_TURNS):
        query = own.photos[row]
        nearest = range(_CANDIDATES + 1) if query.vector is None else own.nearest(query.vector, _CANDIDATES + 1)
        near = [own.ranked[other].fingerprint for other in nearest if other != row][:_CANDIDATES]
        rest = [photo.fingerprint for photo in own.photos if photo is not query]
        far = random.Random(row).sample(rest, min(_CANDIDATES, len(rest)))  # noqa: S311 - no secret
        copy = _mirrored(own, row)
        for taken, candidates in zip(found.values(), ([query.fingerprint, *near[1:]], near, far), strict=True):
            taken.append(_taken(copy, candidates))
    for name, taken in found.items():
        wall, processor = (1000 * statistics.median(seconds) for seconds in zip(*taken, strict=True))
        figures.append(Figure(f"{name}_ms_of.{own.name}", wall, f"median of {len(taken)}"))
        figures.append(Figure(f"{name}_processor_ms_of.{own.name}", processor, "time of the processor alone"))
    return figures


def _mirrored(own: Catalogue, row: int) -> Fingerprint:
    info, pixels = image.decode(own.paths[row].read_bytes(), limits=LIMITS)
    return making.make(pixels[:, ::-1].copy(), info.width, info.height)


def _taken(query: Fingerprint, others: list[Fingerprint]) -> Taken:
    began, processor = time.perf_counter(), time.thread_time()
    side = Side.of(query)
    for other in others:
        verify(side, Side.of(other))
    return time.perf_counter() - began, time.thread_time() - processor


def _pace(own: Catalogue, model: Model) -> Figure:
    """The model's pace with fingerprints made on the same cores, over its pace without: as a stream is embedded."""
    computing, making_ = [], []
    for row in own.sample(_TURNS):
        info, pixels = image.decode(own.paths[row].read_bytes(), limits=LIMITS)
        computing.append(_processor_seconds(partial(model, [pixels], Lane.BULK)))
        making_.append(_processor_seconds(partial(making.make, pixels, info.width, info.height)))
    kept = statistics.median(one / (one + other) for one, other in zip(computing, making_, strict=True))
    on = f"processor time of the model over that of both, each in one thread, {model.precision}"
    return Figure(f"embedder_pace_kept_of.{own.name}", kept, on)


def _processor_seconds(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began
