"""Retrieval quality, measured beside flattened pool5 of the same trunk, and copies told beside a perceptual hash.

Our descriptor with and without re-ranking, beside R-MAC alone, which was the default before; spaces learned from a
shop's products; copies told from look-alikes.

Takes folders with a `labels.csv` (columns path and label). Each photo is a query against all others of its set, and
what bears its label is right. Figures of several sets are their mean; the last line is JSON.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from lookalike.evaluation.ranking import leave_one_out as searched
from lookalike_searcher.database.halfvec import encode
from tests.bench import ablation, adaptation, copy_detection, over_flattened, reranking, self_tuning
from tests.bench.figures import Figure, show
from tests.bench.labelled_photos import Model, Set, described, pixels_of, read
from tests.bench.over_flattened import RMAC
from tests.bench.reranking import DEPTHS, RECOMMENDED, mean_average_precision
from tests.bench.setting import load_model

NAMES: Final = (
    "map_geometric_over_flatten",
    "map_worst_over_flatten",
    "map_reranked_geometric",
    f"{RMAC}_map_geometric_over_flatten",
    f"{RMAC}_map_worst_over_flatten",
    f"{RMAC}_map_reranked_geometric",
    "map_over_flatten",
    "bytes_per_image",
    "adapted_map_gain",
    "tuned_gain",
    "tuned_worst_gain",
    "near_duplicate_auc",
    "near_duplicate_precision_at_recall_95",
    "imagehash_auc",
    "compute_over_trunk",
)
_TURNS: Final = 30
_PARTS: Final = ("map", "tuned", "copies", "cost")
"""What can be measured by itself: rankings, spaces learned from a shop, copies, and times."""
_PHOTOS_TO_A_COPIED: Final = 10
"""Of so many photos one is copied at most: 27 altered pictures of each go through the trunk, most of the time."""


def of_set(own: Set) -> list[Figure]:
    """Mean average precision of one set: flattened, ours, ours re-ranked, and R-MAC alone."""
    on = f"{len(own.vectors):,} photos of {own.label_count} labels, {own.skipped} left out"
    flattened = mean_average_precision(searched(own.flattened.astype(np.float32)), own)
    figures = [
        Figure(f"map_flattened.{own.name}", flattened, f"pool5, 25,088 dimensions; {on}"),
        Figure(f"map.{own.name}", mean_average_precision(searched(own.vectors), own), "the default descriptor, 512"),
    ]
    for depth in DEPTHS:
        found = mean_average_precision(reranking.reranked(own.vectors, depth), own)
        figures.append(Figure(f"map_rerank_{depth}.{own.name}", found, f"the nearest {depth} re-ranked"))
    return [*figures, *over_flattened.measure(own, flattened, {"": own.vectors, RMAC: own.rmac})]


def summary(figures: Sequence[Figure]) -> list[Figure]:
    """What was asked for, over all sets."""
    helped = f"with rerank={RECOMMENDED}: mean mAP over sets, over that of flattened pool5"
    found = [*over_flattened.summary(figures), *over_flattened.summary(figures, RMAC)]
    found += [Figure("map_over_flatten", _ratio(figures, f"map_rerank_{RECOMMENDED}"), helped, least=1.2)]
    found += [Figure("map_over_flatten_plain", _ratio(figures, "map"), "without search-time help")]
    found += [Figure(f"map_over_flatten_rerank_{depth}", _ratio(figures, f"map_rerank_{depth}")) for depth in DEPTHS]
    vector_bytes = len(encode(np.zeros((1, 512), np.float32))[0]) + 4  # and the length that PostgreSQL puts before it
    found += [Figure("bytes_per_image", vector_bytes, "halfvec(512), as it is stored")]
    held_out = "mean over sets, on labels that were not learned from"
    found += [Figure("adapted_map_gain", _mean(figures, "adapted_gain"), held_out, least=1.12)]
    found += self_tuning.summary(figures)
    for name in ("near_duplicate_auc", "near_duplicate_precision_at_recall_95", "imagehash_auc"):
        found.append(Figure(name, _mean(figures, f"{name}_of"), "mean over sets"))
    return found


def _of(figures: Sequence[Figure], name: str) -> list[float]:
    return [one.value for one in figures if one.name.startswith(f"{name}.") and one.value is not None]


def _ratio(figures: Sequence[Figure], name: str) -> float | None:
    beside = sum(_of(figures, "map_flattened"))
    return sum(_of(figures, name)) / beside if beside else None


def _mean(figures: Sequence[Figure], name: str) -> float | None:
    found = _of(figures, name)
    return statistics.fmean(found) if found else None


def compute(own: Set, model: Model) -> Figure:
    """The whole descriptor beside the bare trunk, by turns, on one photo after the other."""
    whole, bare = [], []
    for turn in range(_TURNS):
        pixels = pixels_of(own.files[turn % len(own.files)].read_bytes())
        began = time.perf_counter()
        model([pixels])
        between = time.perf_counter()
        model.forward(model.prepare([pixels]))
        whole.append(between - began)
        bare.append(time.perf_counter() - between)
    ratio = statistics.median(one / other for one, other in zip(whole, bare, strict=True))
    on = f"seconds of a descriptor over those of conv5_3 alone, {_TURNS} turns, {model.precision} on {model.device}"
    return Figure("compute_over_trunk", ratio, on, most=1.15)


def _measured(own: Set, model: Model, options: argparse.Namespace) -> list[Figure]:
    """All figures of a set that were asked for."""
    figures: list[Figure] = []
    if "map" in options.only:
        figures += of_set(own)
        figures += ablation.measure(own, model) if options.study else []
    if "tuned" in options.only:
        figures += [*adaptation.measure(own), *self_tuning.measure(own)]
    if "copies" in options.only:
        copied = min(options.copied, max(1, len(own.files) // _PHOTOS_TO_A_COPIED))
        figures += copy_detection.measure(own, model, copied)
    return figures


def main() -> None:
    """Measure, print a table, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*", help="with labels.csv; none: windows of the demo's photos")
    parser.add_argument("--most", type=int, help="most photos of a label")
    parser.add_argument("--copied", type=int, default=40, help="photos of a set of which altered copies are made")
    parser.add_argument("--only", nargs="+", choices=_PARTS, default=_PARTS, help="measure these parts, not all")
    parser.add_argument("--study", action="store_true", help="also what was tried instead, through the trunk again")
    options = parser.parse_args()
    model = load_model()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as scratch:
        sets = []
        for chosen in read(options.folders, Path(scratch), options.most):
            sets.append(described(chosen, model))
            print(f"{sets[-1].name}: {len(sets[-1].vectors):,} photos described")
        for own in sets:
            figures += _measured(own, model, options)
        if "cost" in options.only:
            figures += [compute(own, model), *reranking.run(own, Path(scratch, "searcher"))]
        figures = [*summary(figures), *figures]
    show("Quality", NAMES, figures)


if __name__ == "__main__":
    main()
