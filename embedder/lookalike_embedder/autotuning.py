"""Choose the fastest way to compute on this processor, by a measurement that is kept. No torch is needed here.

The first start on a processor measures each way that it has, see `model.trials`. The cache keeps the measurements, not
the choice, under all that they depend on. What may be chosen is of one embedding space: int8 is measured, so that the
log can say what it would gain, and is computed for those alone who ask for it.
"""

import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

from lookalike_embedder import processor
from lookalike_embedder.errors import Unsupported
from lookalike_embedder.processor import CORES

logger = logging.getLogger(__name__)


class Way(NamedTuple):
    """A way is how the trunk is computed on a CPU.

    Attributes:
        precision: `fp32`, `bf16`, `fp16` or `int8`.
        transformed: whether convolutions are those of `model.winograd` where they help.
    """

    precision: str
    transformed: bool = False


WAYS: Final = {
    "fp32": Way("fp32"),
    "bf16": Way("bf16"),
    "bf16-winograd": Way("bf16", transformed=True),
    "int8": Way("int8"),
}
"""The ways that are measured, by name; a way is a little less exact than those before it.

In fp32, transformed convolutions take half as long again as the direct ones (Zen 5), and in fp16 their sums could
overflow. ONNX Runtime and OpenVINO are not among them, see `docs/embedder.md`: they gain nothing.
"""
OWN_SPACE: Final = "int8"
MIN_COSINE: Final = 0.999
"""Vectors of the precisions that share an embedding space have this cosine to those of fp32, see `space.space_of`."""
WORTH: Final = 0.95
"""A less exact way must need less than this share of the time."""


@dataclass(frozen=True)
class Trial:
    """A trial says what a way was measured to take.

    Attributes:
        way: its name in WAYS.
        seconds: the processor time of an image on one core, while other cores compute too.
        cosine: the lowest cosine of a vector to that of fp32.
        chosen: whether the embedder computes in this way.
    """

    way: str
    seconds: float
    cosine: float
    chosen: bool = False


Trials = tuple[Trial, ...]


def choose(trials: Trials, precision: str) -> tuple[Way, Trials]:
    """Return the fastest way for a precision, and the trials with it marked; for `auto`, of all ways but int8.

    Raises:
        Unsupported: the vectors of this precision are too far from those of fp32 on this processor.
    """
    best: Trial | None = None
    asked = [trial for trial in trials if precision in ("auto", WAYS[trial.way].precision)]
    for trial in asked:
        fits = trial.way != OWN_SPACE and trial.cosine >= MIN_COSINE
        if fits and (best is None or trial.seconds < WORTH * best.seconds):
            best = trial
    if best is None:
        found = ", ".join(f"{trial.way} {trial.cosine:.4f}" for trial in asked)
        raise Unsupported(
            f"precision: vectors in {precision} must have a cosine of at least {MIN_COSINE} to those of fp32; on this"
            f" processor they have {found}. Take auto"
        )
    return WAYS[best.way], tuple(replace(trial, chosen=trial is best) for trial in trials)


def described(trials: Trials) -> str:
    """Return what was measured and chosen, for people."""
    parts = [f"{trial.way} {trial.seconds * 1e3:.0f} ms (cosine {trial.cosine:.4f})" for trial in trials]
    chosen = next(trial.way for trial in trials if trial.chosen)
    apart = f"; {OWN_SPACE} is an embedding space of its own" if trials[-1].way == OWN_SPACE else ""
    return f"computing in {chosen}; an image on one core: {', '.join(parts)}{apart}"


def key(weights_sha256: str, ways: Iterable[str], calibration: str) -> dict[str, object]:
    """Return all that the measurements depend on.

    Args:
        weights_sha256: the digest of the weights.
        ways: the names of the ways that this processor has.
        calibration: the digest of int8's calibration; empty without one.
    """
    return {
        **processor.identity(),
        "cores": CORES,
        "torch": metadata.version("torch"),
        "weights": weights_sha256,
        "ways": list(ways),
        "calibration": calibration,
    }


def find(cache: Path, key: dict[str, object], measure: Callable[[], Trials], *, anew: bool = False) -> Trials:
    """Return the measurements that the cache keeps under this key. If there are none, or `anew`, measure and keep them.

    A file that is broken, or of another key, is measured again. A cache that cannot be written costs the next start a
    measurement.
    """
    file = cache_file(cache, key)
    if not anew and (kept := _read(file, key)):
        return kept
    trials = measure()
    from lookalike import atomic_file  # with it comes gRPC, which reading does not need

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.write(file, json.dumps({"key": key, "trials": [_kept(trial) for trial in trials]}) + "\n")
    except OSError as error:
        logger.warning("cannot keep what was measured in %s: %s", file, error)
    return trials


def cache_file(cache: Path, key: dict[str, object]) -> Path:
    """Return where the measurements under this key are kept: machines that share a cache have a file each."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return cache / f"vgg16-{str(key['weights'])[:16]}-cpu-{digest[:16]}.json"


def _kept(trial: Trial) -> dict[str, object]:
    return {"way": trial.way, "seconds": trial.seconds, "cosine": trial.cosine}


def _read(file: Path, key: dict[str, object]) -> Trials | None:
    """Return the measurements in a file, if it has exactly what a measurement under this key would have written."""
    try:
        document = json.loads(file.read_text())
        trials = tuple(
            Trial(str(kept["way"]), float(kept["seconds"]), float(kept["cosine"])) for kept in document["trials"]
        )
        broken = document["key"] != key or [trial.way for trial in trials] != key["ways"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("cannot use what was measured before in %s: %s; measuring again", file, error)
        return None
    if broken or not all(trial.seconds > 0 and math.isfinite(trial.seconds) for trial in trials):
        logger.warning("what was measured before in %s is not of this processor; measuring again", file)
        return None
    return trials
