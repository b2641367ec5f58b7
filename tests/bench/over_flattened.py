"""What a descriptor is worth beside flattened pool5, over all sets."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from lookalike.evaluation.ranking import Vectors, leave_one_out
from tests.bench import reranking
from tests.bench.figures import Figure
from tests.bench.labelled_photos import Set
from tests.bench.reranking import RECOMMENDED, mean_average_precision

RMAC: Final = "rmac"
"""The name in the figures of the descriptor that was the default before."""


def measure(own: Set, flattened: float, descriptors: Mapping[str, Vectors]) -> list[Figure]:
    """MAP of each descriptor over that of flattened pool5, plain and re-ranked."""
    figures = []
    for name, vectors in descriptors.items():
        prefix = f"{name}_" if name else ""
        plain = mean_average_precision(leave_one_out(vectors), own)
        helped = mean_average_precision(reranking.reranked(vectors, RECOMMENDED), own)
        figures += [
            Figure(f"{prefix}over_flatten.{own.name}", plain / flattened, f"mAP {plain:.3f}"),
            Figure(f"{prefix}reranked_over_flatten.{own.name}", helped / flattened, f"mAP {helped:.3f}"),
        ]
    return figures


def summary(figures: Sequence[Figure], name: str = "") -> list[Figure]:
    """Each set counts alike: the geometric mean over sets, and the worst of them."""
    prefix, on = (f"{name}_", "the default before") if name else ("", "the default descriptor")
    plain = [one.value for one in figures if one.name.startswith(f"{prefix}over_flatten.") and one.value]
    helped = [one.value for one in figures if one.name.startswith(f"{prefix}reranked_over_flatten.") and one.value]
    if not plain:
        return []
    geometric, worst, reranked = (None, None, None) if name else (1.12, 1.0, 1.22)
    again = f"{on}, with rerank={RECOMMENDED}"
    return [
        Figure(f"{prefix}map_geometric_over_flatten", _geometric(plain), on, least=geometric),
        Figure(f"{prefix}map_worst_over_flatten", min(plain), on, least=worst),
        Figure(f"{prefix}map_reranked_geometric", _geometric(helped), again, least=reranked),
    ]


def _geometric(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))
