"""Choose a projection in a process of its own, which gives way to all others: `python -m` this.

It reads arrays from standard input and writes arrays to standard output, as numpy's format has them, without pickles.
"""

import ctypes
import io
import os
import signal
import sys
from collections.abc import Mapping
from typing import Final

import numpy as np

from lookalike.adapt.choose import Choice, choose
from lookalike.adapt.learning import Projection
from lookalike.adapt.sample import Sample
from lookalike_searcher.projects import learning as learnings

NICENESS: Final = 19
ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""With these environment variables, numpy's linear algebra has one thread."""
_SEED: Final = 0
READY: Final = b"."
"""The process writes this first, once it ends with the searcher; before that, it must not be stopped."""
_PR_SET_PDEATHSIG: Final = 1
"""Of prctl, as <sys/prctl.h> numbers it."""


def question(sample: Sample, serving: Projection | None, fresh: np.ndarray) -> bytes:
    """Return what the process is to be given; see `choose`."""
    arrays = {
        "vectors": sample.vectors.astype(np.float16),  # as they are stored
        "groups": sample.groups,
        "pairs": sample.pairs,
        "apart": sample.apart,
        "fresh": fresh,
    }
    if serving:
        arrays |= _arrays(serving)
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def answer(given: bytes) -> Choice:
    """Return what the process has answered."""
    with np.load(io.BytesIO(given), allow_pickle=False) as arrays:
        learning = learnings.of_json(str(arrays["learning"]))
        projection = _projection(arrays)
    if learning is None:
        raise ValueError("the answer does not say what was learned from")
    return Choice(projection, learning)


def _chosen(given: bytes) -> bytes:
    with np.load(io.BytesIO(given), allow_pickle=False) as arrays:
        sample = Sample(arrays["vectors"].astype(np.float32), arrays["groups"], arrays["pairs"], arrays["apart"])
        choice = choose(sample, _projection(arrays), arrays["fresh"], _SEED)
    learned = _arrays(choice.projection) if choice.projection else {}
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, learning=np.array(learnings.to_json(choice.learning)), **learned)
    return file.getvalue()


def _arrays(projection: Projection) -> dict[str, np.ndarray]:
    neighbours = np.array(projection.neighbours)
    return {"matrix": projection.matrix, "centre": projection.centre, "neighbours": neighbours}


def _projection(arrays: Mapping[str, np.ndarray]) -> Projection | None:
    if "matrix" not in arrays:
        return None
    return Projection(arrays["matrix"], arrays["centre"], int(arrays["neighbours"]))


def main() -> None:
    """Answer the one question on standard input. The argument is the searcher's process id."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # it may be stopped when the searcher ends
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)  # the searcher has ended before
    os.nice(NICENESS)
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    sys.stdout.buffer.write(_chosen(sys.stdin.buffer.read()))


if __name__ == "__main__":
    main()
