"""What was tried instead of R-MAC as it is: other inputs, other pooling, mirrored photos, other search-time help.

All are judged without re-ranking but where they are one; see docs/quality.md for what came of it.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional

from lookalike.evaluation import alterations
from lookalike.evaluation.ranking import Vectors, leave_one_out
from tests.bench.figures import Figure
from tests.bench.labelled_photos import Model, Set, stored
from tests.bench.reranking import mean_average_precision, reranked

_CELL: Final = 16
"""Pixels of a photo's side for each cell of conv5_3."""
_DEPTH: Final = 100

Input = Callable[[Image.Image], Image.Image]
Pooling = Callable[[Tensor], Tensor]


def measure(own: Set, model: Model) -> list[Figure]:
    """Each alternative's mAP."""
    figures = [
        Figure(f"study_{name}.{own.name}", mean_average_precision(leave_one_out(vectors), own))
        for name, vectors in (*_inputs(own, model), *_centred(own))
    ]
    for name, scores in RERANKINGS.items():
        found = mean_average_precision(reranked(own.rmac, _DEPTH, scores), own)
        figures.append(Figure(f"study_{name}.{own.name}", found, f"the nearest {_DEPTH}"))
    return figures


def _inputs(own: Set, model: Model) -> Iterator[tuple[str, Vectors]]:
    """The photos drawn to the input in several ways, pooled in several ways."""
    for name, (draw, poolings) in INPUTS.items():
        found: dict[str, list[Vectors]] = {pooling: [] for pooling in poolings}
        for path in own.files:
            photo = draw(alterations.upright(path.read_bytes()))
            features = model.forward(model.prepare([np.asarray(photo)])).float().cpu()
            for pooling, made in found.items():
                made.append(POOLINGS[pooling](features).numpy()[0])
        for pooling, vectors in found.items():
            yield f"{name}_{pooling}", stored(np.array(vectors))
        if name == "mirrored":
            yield "with_its_mirror_image", _unit(own.rmac + np.array(found["rmac"]))


def _centred(own: Set) -> Iterator[tuple[str, Vectors]]:
    """Without what all photos of the set have in common."""
    yield "own_mean_taken_out", _unit(own.rmac - own.rmac.mean(axis=0))


def _squashed(side: int) -> Input:
    return lambda photo: photo.resize((side, side), Image.Resampling.BILINEAR)


def _fitted(side: int) -> Input:
    """In its own shape, on about the same number of pixels; beyond 1 : 2 squashed."""

    def draw(photo: Image.Image) -> Image.Image:
        cells = (side // _CELL) ** 2
        shape = min(max(math.log(photo.width / photo.height), -math.log(2)), math.log(2))
        wide = min(range(5, 40), key=lambda n: abs(math.log(n / max(1, cells // n)) - shape) + cells % n / cells)
        size = (wide * _CELL, cells // wide * _CELL)
        return photo.resize(size, Image.Resampling.BILINEAR)

    return draw


def _padded(photo: Image.Image) -> Image.Image:
    return ImageOps.pad(photo, (224, 224), Image.Resampling.BILINEAR, color="white")


def _mirrored(photo: Image.Image) -> Image.Image:
    return ImageOps.mirror(_squashed(224)(photo))


def _rmac(features: Tensor) -> Tensor:
    """R-MAC of a map of any shape: regions overlap by about 40 % along the longer side (Tolias et al., ICLR 2016)."""
    sides = features.shape[2:]
    short = min(sides)
    further = [step for step in range(1, 7) if max(sides) > short]
    more = min(further, key=lambda step: abs(1 - (max(sides) - short) / step / short - 0.4), default=0)
    total = torch.zeros(features.shape[:2])
    for level in range(1, 4):
        side = max(1, 2 * short // (level + 1))
        counts = [level + (more if length > short else 0) for length in sides]
        edges = [
            [step * (length - side) // max(1, n - 1) for step in range(n)]
            for length, n in zip(sides, counts, strict=True)
        ]
        for top, left in product(*edges):
            region = features[:, :, top : top + side, left : left + side]
            total += functional.normalize(region.amax(dim=(2, 3)))
    return functional.normalize(total)


def _gem(features: Tensor, power: float = 3) -> Tensor:
    """Generalized mean (Radenović et al., TPAMI 2018)."""
    return functional.normalize(features.clamp(min=1e-6).pow(power).mean(dim=(2, 3)).pow(1 / power))


def _average(features: Tensor) -> Tensor:
    return functional.normalize(features.mean(dim=(2, 3)))


POOLINGS: Final[dict[str, Pooling]] = {"rmac": _rmac, "gem": _gem, "average": _average}
INPUTS: Final[dict[str, tuple[Input, tuple[str, ...]]]] = {
    "squashed_224": (_squashed(224), ("rmac", "gem", "average")),
    "squashed_240": (_squashed(240), ("rmac",)),
    "fitted_224": (_fitted(224), ("rmac",)),
    "fitted_240": (_fitted(240), ("rmac",)),
    "padded_224": (_padded, ("rmac",)),
    "mirrored": (_mirrored, ("rmac",)),
}


def _expanded(rows: Vectors, count: int) -> Vectors:
    """αQE with α 3 (Radenović et al., TPAMI 2018): the query drawn towards its nearest."""
    weights = (rows[1 : count + 1] @ rows[0]).clip(0) ** 3
    return np.asarray(rows[1:] @ (rows[0] + weights @ rows[1 : count + 1]))


def _diffused(rows: Vectors, share: float) -> Vectors:
    """Diffusion over the graph of five neighbours (Iscen et al., CVPR 2017), within the shortlist."""
    affinity = (rows @ rows.T).clip(0) ** 3
    np.fill_diagonal(affinity, 0)
    kept = np.where(affinity >= -np.partition(-affinity, 4, axis=1)[:, 4:5], affinity, 0)
    kept = (kept + kept.T) / 2
    degrees = kept.sum(axis=1) + 1e-9
    walk = kept / np.sqrt(np.outer(degrees, degrees))
    start = np.eye(len(rows))[0]
    return np.asarray(np.linalg.solve(np.eye(len(rows)) - share * walk, start)[1:])


def _unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12), np.float32)


RERANKINGS: Final[dict[str, Callable[[Vectors], Vectors]]] = {
    "expansion_3": partial(_expanded, count=3),
    "expansion_5": partial(_expanded, count=5),
    "diffusion_70": partial(_diffused, share=0.7),
    "diffusion_90": partial(_diffused, share=0.9),
}
