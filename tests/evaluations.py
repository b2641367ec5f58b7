"""An evaluation of made pictures, without servers: photos of a colour look alike."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from lookalike.evaluation import labels
from lookalike.evaluation.duplicates import NearDuplicates, NeighbourCollector
from lookalike.evaluation.ranking import leave_one_out, retrieval
from lookalike.evaluation.settings import Settings
from lookalike.evaluation.study import Evaluation, Side
from lookalike.evaluation.vectors import EmbeddingSpeed
from tests.pictures import jpeg

COLOURS: Final = {
    "red <b>": ("red", "crimson", "tomato"),
    "blue & co": ("blue", "navy", "royalblue"),
    "lone": ("gold",),
}


def write(folder: Path) -> Path:
    """Pictures of each colour, one that cannot be decoded, and their labels."""
    rows = ["path,label"]
    for label, names in COLOURS.items():
        rows += [f"{name}.jpg,{label}" for name in names]
        for name in names:
            (folder / f"{name}.jpg").write_bytes(jpeg(colour=name))
    (folder / "broken.jpg").write_bytes(b"no photo")
    (folder / "labels.csv").write_text("\n".join([*rows, "broken.jpg,lone", ""]))
    return folder / "labels.csv"


def evaluated(folder: Path, *names: str) -> Evaluation:
    """A side for each name, each with its own vectors. Some hits are wrong; in the first, red is found worst."""
    labelled = labels.read(write(folder)).without([labels.LeftOut("broken.jpg", "it cannot be decoded")])
    known, numbers = np.unique([photo.label for photo in labelled.photos], return_inverse=True)
    sides = tuple(_side(name, seed, numbers) for seed, name in enumerate(names, 5))
    time = datetime(2026, 11, 23, 12, tzinfo=UTC)
    return Evaluation(labelled, sides, tuple(map(str, known)), numbers, Settings(), time, "1.2.3")


def _side(name: str, seed: int, numbers: np.ndarray) -> Side:
    chance = np.random.default_rng(seed)
    vectors = np.eye(8)[numbers] + 0.3 * chance.normal(size=(len(numbers), 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    collector = NeighbourCollector(numbers, 0.95)
    judged = retrieval(collector.collect(leave_one_out(vectors)), numbers)
    copies = {"crop-5": np.array([0.97, 0.99, 0.8]), "mirror": np.array([0.9, 0.99, 0.96])}
    return Side(
        name,
        "exact cosine, in process",
        judged,
        NearDuplicates(copies, collector.neighbours()),
        EmbeddingSpeed(0.1, 12.5),
    )
