"""Each photo as a query against all others (leave one out): who comes at which rank, and how good that is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lookalike import ranking_metrics
from lookalike.ranking_metrics import Counts, Floats

CUTS: Final = (1, 5, 10, 50)
"""The k of the figures at k."""
DEEPEST: Final = 100
"""How far the curve of recall@k goes."""
SHOWN: Final = 10
"""How many hits of each query are kept, to be shown."""
_BLOCK: Final = 256

Vectors = NDArray[np.float32]


class Ranked(NamedTuple):
    """Some queries' rankings.

    Attributes:
        queries: rows of the photos that were searched for: (queries,).
        order: rows of the photos found, best first: (queries, ranks); -1 beyond the last.
        similarities: theirs: (queries, ranks).
    """

    queries: Counts
    order: Counts
    similarities: NDArray[np.float32]


def leave_one_out(vectors: Vectors, block: int = _BLOCK) -> Iterator[Ranked]:
    """Rank all other photos for each, exactly, by cosine; equal ones by row, as the searcher does by age.

    Args:
        vectors: of length 1: (photos, dimensions).
        block: how many queries at once: memory is bounded by 16 bytes × block × photos.
    """
    for start in range(0, len(vectors), block):
        queries = np.arange(start, min(start + block, len(vectors)))
        similarities = vectors[queries] @ vectors.T
        similarities[np.arange(len(queries)), queries] = -np.inf  # so that the query itself comes last
        order = np.argsort(-similarities, axis=1, kind="stable")[:, :-1]
        yield Ranked(queries, order, np.take_along_axis(similarities, order, axis=1))


@dataclass(frozen=True)
class Retrieval:
    """How good the rankings are. Arrays have a value for each query that has something to find.

    Attributes:
        queries: rows of these photos.
        average_precision: over all that is right.
        recall: by k, the share of what is right among the first k.
        hit: by k, whether anything among the first k is right.
        ndcg: by k.
        precision_curve: mean interpolated precision at `metrics.LEVELS` of recall.
        recall_curve: mean recall@k for k from 1 to `DEEPEST`.
        top: rows of the first hits: (queries, SHOWN); -1 where there are fewer.
        left_out: queries without another photo of their label.
    """

    queries: Counts
    average_precision: Floats
    recall: Mapping[int, Floats]
    hit: Mapping[int, Floats]
    ndcg: Mapping[int, Floats]
    precision_curve: Floats
    recall_curve: Floats
    top: Counts
    left_out: int

    def figures(self) -> dict[str, float]:
        """The means over queries, by name."""
        named = {"map": self.average_precision, "p_at_1": self.hit[1]}
        named |= {f"recall_at_{k}": self.recall[k] for k in CUTS[1:]}
        named |= {f"hit_at_{k}": self.hit[k] for k in CUTS[1:-1]}
        named |= {f"ndcg_at_{k}": self.ndcg[k] for k in CUTS[1:-1]}
        return {name: float(values.mean()) for name, values in named.items()}


def retrieval(rankings: Iterable[Ranked], labels: Counts) -> Retrieval:
    """Judge rankings: what bears the query's label is right.

    Args:
        rankings: of photos by their rows.
        labels: each photo's, as a number: (photos,).

    Raises ValueError: no query has anything to find.
    """
    sizes = np.bincount(labels)
    parts = [_judged(ranked, labels, sizes) for ranked in rankings if (sizes[labels[ranked.queries]] > 1).any()]
    if not parts:
        raise ValueError("no query has another photo of its label: there is nothing to find")
    queries = np.concatenate([part.queries for part in parts])
    weights = [part.queries.size for part in parts]
    return Retrieval(
        queries=queries,
        average_precision=np.concatenate([part.average_precision for part in parts]),
        recall={k: np.concatenate([part.recall[k] for part in parts]) for k in CUTS},
        hit={k: np.concatenate([part.hit[k] for part in parts]) for k in CUTS},
        ndcg={k: np.concatenate([part.ndcg[k] for part in parts]) for k in CUTS},
        precision_curve=np.average([part.precision_curve for part in parts], axis=0, weights=weights),
        recall_curve=np.average([part.recall_curve for part in parts], axis=0, weights=weights),
        top=np.concatenate([part.top for part in parts]),
        left_out=len(labels) - queries.size,
    )


def _judged(ranked: Ranked, labels: Counts, sizes: Counts) -> Retrieval:
    """The same for one block."""
    own = labels[ranked.queries]
    asked = sizes[own] > 1
    order, totals = ranked.order[asked], sizes[own[asked]] - 1
    relevance = (labels[order] == own[asked, None]) & (order >= 0)
    ranks = min(DEEPEST, relevance.shape[1])
    recalls = relevance[:, :ranks].cumsum(axis=1) / totals[:, None]
    top = np.full((len(order), SHOWN), -1)
    top[:, : order.shape[1]] = order[:, :SHOWN]
    return Retrieval(
        queries=ranked.queries[asked],
        average_precision=ranking_metrics.average_precision(relevance, totals),
        recall={k: ranking_metrics.recall_at(relevance, totals, k) for k in CUTS},
        hit={k: ranking_metrics.hit_at(relevance, k) for k in CUTS},
        ndcg={k: ranking_metrics.ndcg_at(relevance, totals, k) for k in CUTS},
        precision_curve=ranking_metrics.interpolated_precision(relevance, totals).mean(axis=0),
        recall_curve=np.pad(recalls.mean(axis=0), (0, DEEPEST - ranks), mode="edge"),
        top=top,
        left_out=0,
    )
