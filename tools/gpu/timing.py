"""Measure how fast calls are on the device, and how busy it is."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from statistics import median
from typing import Final

from lookalike_embedder.image import SIZE
from lookalike_embedder.weights import SHAPES

_AT_ONCE: Final = 4
"""So many calls are queued before we wait, so that the device never waits for the next one."""


def calls_per_second(call: Callable[[], object], device: str, seconds: float) -> float:
    """Return how many calls complete in a second, after a warm-up."""
    import torch

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    call()
    wait()
    done, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds or not done:
        for _ in range(_AT_ONCE if device == "cuda" else 1):
            call()
            done += 1
        wait()
    return done / (elapsed or time.perf_counter() - started)


def flop_per_image() -> float:
    """Return the operations of the trunk's 13 convolutions: a multiplication and an addition per weight and place."""
    side, flop = SIZE, 0.0
    for name, shape in SHAPES.items():
        if len(shape) == 4:
            if name in _AFTER_POOLING:
                side //= 2
            flop += 2.0 * shape[0] * shape[1] * 9 * side * side
    return flop


_AFTER_POOLING: Final = tuple(f"features.{position}.weight" for position in (5, 10, 17, 24))


class Busy:
    """The samples are what nvidia-smi showed of the GPU over some time."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, ...]] = []

    def __str__(self) -> str:
        """Return the medians of the samples, for people."""
        if not self.samples:
            return "nvidia-smi saw no GPU"
        share, power, clock = (median(values) for values in zip(*self.samples, strict=True))
        return f"GPU busy {share:.0f} % of the time, {power:.0f} W, {clock:.0f} MHz"


@contextmanager
def watched(device: str) -> Iterator[Busy]:
    """Watch the GPU five times a second within the block."""
    busy = Busy()
    command = ["nvidia-smi", "--query-gpu=utilization.gpu,power.draw,clocks.sm", "--format=csv,noheader,nounits"]
    try:
        process = None
        if device == "cuda":
            process = subprocess.Popen([*command, "-lms", "200"], stdout=subprocess.PIPE, text=True)  # noqa: S603
    except OSError:
        pass
    try:
        yield busy
    finally:
        if process:
            process.terminate()
            for line in (process.communicate()[0] or "").splitlines():
                with suppress(ValueError):
                    busy.samples.append(tuple(float(value) for value in line.split(",")))
