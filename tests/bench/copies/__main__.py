"""Copies told from look-alikes: proven by fingerprints, beside cosine alone and two perceptual hashes.

Takes folders with a `labels.csv` (columns path and label); without one, windows of the demo's photos. Copies are made
of some photos and ranked among all photos of all sets by their vectors. The nearest 20 are verified, and where the
original is not among them, what a thorough search verifies. Figures without a set's name are those of all pairs, or of
the worst set; the last line is JSON.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from lookalike_searcher.copies.proof import Kind
from tests.bench.copies import timing
from tests.bench.copies.catalogue import catalogue
from tests.bench.copies.pairs import DEPTHS, JUDGES, VERIFIED, Pair, Truth, copies, is_false, look_alikes
from tests.bench.figures import Figure, show
from tests.bench.labelled_photos import read
from tests.bench.setting import load_model

_OFTEN: Final = 0.95
"""Alterations whose originals are found less often are named."""
NAMES: Final = (
    "copy_recall",
    "copy_recall_worst",
    "copy_precision",
    "recoloured_told",
    "series_false_rate",
    "fingerprint_bytes",
    "verify_20_ms",
    "embedder_pace_kept",
)


def judged(name: str, pairs: Sequence[Pair]) -> list[Figure]:
    """The figures of one set, or of all."""
    made = {truth: [pair for pair in pairs if pair.truth is truth] for truth in Truth}
    recalls = by_alteration(made[Truth.COPY])
    proven = sum(pair.is_proven for pair in made[Truth.COPY])
    false = [pair for pair in pairs if is_false(pair)]
    told = _share(pair.proof.kind is not Kind.NEAR_DUPLICATE for pair in made[Truth.RECOLOURED])
    different = len(made[Truth.SERIES]) + len(made[Truth.OTHER])
    worst = min(recalls, key=lambda alteration: recalls[alteration])
    return [
        Figure(f"copy_recall{name}", statistics.fmean(recalls.values()), f"{len(recalls)} alterations", least=0.97),
        Figure(f"copy_recall_worst{name}", recalls[worst], worst, least=0.85),
        Figure(
            f"copy_precision{name}",
            proven / max(1, proven + len(false)),
            f"{len(made[Truth.COPY]):,} copies, {len(made[Truth.RECOLOURED])} recoloured, {different:,} other pairs",
            least=0.99,
        ),
        Figure(f"recoloured_told{name}", told, "colours turned by 60, 120, 180 degrees", least=0.95),
        Figure(
            f"series_false_rate{name}",
            _share(pair.proof.is_copy for pair in made[Truth.SERIES]),
            f"{len(made[Truth.SERIES])} pairs of photos that follow one another in their label, or are nearest in it",
            most=0.02,
        ),
    ]


def others_ways(name: str, pairs: Sequence[Pair]) -> list[Figure]:
    """The same pairs, judged by others; end to end does not count against them."""
    figures = []
    for way, says in JUDGES.items():
        if way == "cosine" and pairs[0].one.vector is None:
            continue
        right = [says(pair) for pair in pairs if pair.truth is Truth.COPY]
        wrong = sum(says(pair) for pair in pairs if pair.truth is not Truth.COPY)
        series = _share(says(pair) for pair in pairs if pair.truth is Truth.SERIES)
        told = _share(not says(pair) for pair in pairs if pair.truth is Truth.RECOLOURED)
        figures += [
            Figure(f"{way}_recall.{name}", _share(right)),
            Figure(f"{way}_precision.{name}", sum(right) / max(1, sum(right) + wrong)),
            Figure(f"{way}_series_false_rate.{name}", series),
            Figure(f"{way}_recoloured_told.{name}", told),
        ]
    return figures


def in_detail(name: str, pairs: Sequence[Pair]) -> list[Figure]:
    """By alteration: how many copies are proven, and among how many of the nearest their originals are."""
    of_copies = [pair for pair in pairs if pair.truth is Truth.COPY]
    figures = [Figure(f"recall_of_{one}.{name}", share) for one, share in by_alteration(of_copies).items()]
    ranked = _places(of_copies)
    for depth in DEPTHS:
        among = {one: _share(place < depth for place in places) for one, places in ranked.items()}
        if among:
            fewest = ", ".join(f"{one} {share:.2f}" for one, share in among.items() if share < _OFTEN)
            figures.append(Figure(f"original_among_{depth}.{name}", statistics.fmean(among.values()), fewest))
    plainly = _share(pair.is_proven_plainly for pair in of_copies)
    looked_at = _share(pair.place is None or pair.place < VERIFIED or pair.in_views for pair in of_copies)
    return [
        *figures,
        Figure(f"copy_recall_plain.{name}", plainly, f"the nearest {VERIFIED} are verified"),
        Figure(f"original_in_thorough.{name}", looked_at, "what a thorough search verifies"),
    ]


def _places(pairs: Sequence[Pair]) -> dict[str, list[int]]:
    """How many photos are nearer than the original, of each copy, by alteration."""
    found: dict[str, list[int]] = {}
    for pair in pairs:
        if pair.place is not None:
            found.setdefault(pair.name, []).append(pair.place)
    return found


def by_alteration(pairs: Sequence[Pair]) -> dict[str, float]:
    """The share of copies that are found and proven, by alteration."""
    names = dict.fromkeys(pair.name for pair in pairs)
    return {name: _share(pair.is_proven for pair in pairs if pair.name == name) for name in names}


def costs(figures: Sequence[Figure]) -> list[Figure]:
    """What was asked for, of the costs: the worst set's."""
    bounds = {"fingerprint_bytes": 8192.0, "verify_20_ms": 25.0}
    found = []
    for name, most in bounds.items():
        found.append(Figure(name, max(_of(figures, name)), "the worst set's", most=most))
    paces = _of(figures, "embedder_pace_kept")
    return [*found, Figure("embedder_pace_kept", min(paces) if paces else None, "the worst set's", least=0.9)]


def _of(figures: Sequence[Figure], name: str) -> list[float]:
    return [one.value for one in figures if one.name.startswith(f"{name}_of.") and one.value is not None]


def _share(values: Iterable[bool]) -> float:
    all_of_them = list(values)
    return sum(all_of_them) / max(1, len(all_of_them))


def main() -> None:
    """Measure, print a table, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*", help="with labels.csv; none: windows of the demo's photos")
    parser.add_argument("--most", type=int, help="most photos of a label")
    parser.add_argument("--copied", type=int, default=20, help="photos of a set of which copies are made")
    parser.add_argument("--seed", type=int, default=0, help="chooses these photos")
    parser.add_argument("--unranked", action="store_true", help="verify each copy beside its original alone: no model")
    options = parser.parse_args()
    model = None if options.unranked else load_model()
    figures: list[Figure] = []
    everything: list[Pair] = []
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as scratch:
        sets = [catalogue(chosen, model) for chosen in read(options.folders, Path(scratch), options.most)]
        for own in sets:
            print(f"{own.name}: {len(own.photos):,} photos described")
            own = replace(own, others=[photo for other in sets if other is not own for photo in other.photos])
            pairs = [*copies(own, options.copied, model, seed=options.seed)]
            pairs += [pair for pair in look_alikes(own) if options.folders or pair.truth is not Truth.SERIES]
            for pair in filter(is_false, pairs):
                print(f"false: {pair.truth.value} {pair.name}: {pair.proof.kind.value} {pair.proof.confidence:.3f}")
            everything += pairs
            figures += [*judged(f"_of.{own.name}", pairs), *others_ways(own.name, pairs), *in_detail(own.name, pairs)]
            figures += timing.measure(own, model)
    show("Copies", NAMES, [*judged("", everything), *costs(figures), *figures])


if __name__ == "__main__":
    main()
