"""Copies told from look-alikes: by our vectors, and by a perceptual hash of the same pictures."""

import random
from collections.abc import Mapping
from typing import Final

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import ranking_metrics
from lookalike.constants import NEAR_DUPLICATE
from lookalike.evaluation import alterations
from lookalike.evaluation.duplicates import NearDuplicates, NeighbourCollector
from lookalike.evaluation.ranking import Vectors, leave_one_out
from lookalike.ranking_metrics import Floats
from tests.bench.figures import Figure
from tests.bench.labelled_photos import Model, Set, descriptors_of, pixels_of
from tests.bench.over_flattened import RMAC

_TURNS: Final = (60, 120, 180)
"""Degrees on the colour wheel: the same photo of an article of another colour."""
_BITS: Final = 64
RECALL: Final = 0.95


def measure(own: Set, model: Model, count: int) -> list[Figure]:
    """Positives: so many photos and their altered copies. Negatives: each photo and its nearest others.

    How many copies find their photo first is measured by R-MAC alone, too.
    """
    rows = random.Random(0).sample(range(len(own.files)), min(count, len(own.files)))  # noqa: S311 - no secret
    collector = NeighbourCollector(own.photo_labels, NEAR_DUPLICATE)
    for _ in collector.collect(leave_one_out(own.vectors)):
        pass
    cosines: dict[str, list[float]] = {}
    likenesses: list[float] = []
    turned: list[float] = []
    first: dict[str, list[bool]] = {}
    for row in rows:
        data = own.files[row].read_bytes()
        photo = alterations.upright(data)
        for name, copy in alterations.copies(data).items():
            found_of = descriptors_of(model, pixels_of(copy))
            similarities = own.vectors @ found_of.ours
            cosines.setdefault(name, []).append(float(similarities[row]))
            first.setdefault("", []).append(int(similarities.argmax()) == row)
            first.setdefault(f"{RMAC}_", []).append(int((own.rmac @ found_of.rmac).argmax()) == row)
            likenesses.append(_likeness(_hash(photo), _hash(alterations.upright(copy))))
        turned += [_cosine(own.vectors[row], model, alterations.saved(_turned(photo, by))) for by in _TURNS]
    found = NearDuplicates(_arrays(cosines), collector.neighbours())
    firsts = [
        Figure(f"{name}copies_first.{own.name}", float(np.mean(hits)), "share of copies that find their photo first")
        for name, hits in first.items()
    ]
    hashed = _hashed(found, np.array(likenesses), own)
    return [*firsts, *_figures(found, own), *hashed, _colours(np.array(turned), own)]


def _figures(found: NearDuplicates, own: Set) -> list[Figure]:
    threshold = f"at {NEAR_DUPLICATE:g}, where NEAR_DUPLICATE begins"
    pairs = f"{found.positives.size:,} copies; {found.negatives.size:,} pairs of each photo and its nearest others"
    at_recall, now = found.at_recall, found.at_threshold
    return [
        Figure(f"near_duplicate_auc_of.{own.name}", ranking_metrics.auc(found.positives, found.negatives), pairs),
        Figure(
            f"near_duplicate_precision_at_recall_95_of.{own.name}", at_recall.precision, f"at {at_recall.threshold:.3f}"
        ),
        Figure(f"near_duplicate_recall.{own.name}", now.recall, threshold),
        Figure(f"near_duplicate_precision.{own.name}", now.precision, threshold),
        Figure(f"look_alikes_fired.{own.name}", found.neighbours.same_fired, "share of all pairs of the same label"),
        Figure(f"others_fired.{own.name}", found.neighbours.different_fired, "share of all pairs of different labels"),
        *(Figure(f"recall_of_{name}.{own.name}", share, threshold) for name, share in found.recalls().items()),
    ]


def _hashed(found: NearDuplicates, positives: Floats, own: Set) -> list[Figure]:
    """The perceptual hash on the same pairs."""
    rows = {row for pair in (*found.neighbours.same, *found.neighbours.different) for row in pair[:2]}
    hashes = {row: _hash(alterations.upright(own.files[row].read_bytes())) for row in rows}
    negatives = [
        _likeness(hashes[pair.photo], hashes[pair.other])
        for pair in (*found.neighbours.same, *found.neighbours.different)
    ]
    precision = ranking_metrics.at_recall(positives, negatives, RECALL).precision
    return [
        Figure(
            f"imagehash_auc_of.{own.name}",
            ranking_metrics.auc(positives, negatives),
            "pHash of 64 bits, the same pairs",
        ),
        Figure(f"imagehash_precision_at_recall_95.{own.name}", precision),
    ]


def _colours(cosines: Floats, own: Set) -> Figure:
    """How often a photo that was only turned on the colour wheel counts as a near duplicate."""
    degrees = ", ".join(map(str, _TURNS))
    return Figure(
        f"colour_variants_fired.{own.name}", float((cosines >= NEAR_DUPLICATE).mean()), f"turned by {degrees} degrees"
    )


def _cosine(vector: Vectors, model: Model, data: bytes) -> float:
    return float(descriptors_of(model, pixels_of(data)).ours @ vector)


def _turned(photo: Image.Image, degrees: int) -> Image.Image:
    hue, saturation, value = photo.convert("HSV").split()
    turned = hue.point(lambda level: (level + degrees * 256 // 360) % 256)
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


def _hash(photo: Image.Image) -> NDArray[np.bool_]:
    bits: NDArray[np.bool_] = imagehash.phash(photo).hash.ravel()
    return bits


def _likeness(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return 1 - int((one != other).sum()) / _BITS


def _arrays(values: Mapping[str, list[float]]) -> dict[str, Floats]:
    return {name: np.array(found) for name, found in values.items()}
