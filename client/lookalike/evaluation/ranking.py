"""Rank all other photos for each photo (leave one out), and measure how good the rankings are."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lookalike import ranking_metrics
from lookalike.ranking_metrics import Counts, Floats

CUTS: Final = (1, 5, 10, 50)
"""The values of k for recall@k, hit@k and nDCG@k."""
DEEPEST: Final = 100
"""The highest k of the curve of recall@k."""
SHOWN: Final = 10
"""The number of hits of each query that are kept, for the report."""
_BLOCK: Final = 256

Vectors = NDArray[np.float32]


class Ranked(NamedTuple):
    """Ranked holds the rankings of some queries.

    Attributes:
        queries: the rows of the photos that were searched for, of shape (queries,).
        order: the rows of the photos that were found, best first, of shape (queries, ranks); -1 after the last hit.
        similarities: the similarities of these photos, of shape (queries, ranks).
    """

    queries: Counts
    order: Counts
    similarities: NDArray[np.float32]


def leave_one_out(vectors: Vectors, block: int = _BLOCK) -> Iterator[Ranked]:
    """Rank all other photos for each photo, exactly, by cosine.

    Photos of equal similarity are ranked by row, as the searcher ranks them by age.

    Args:
        vectors: vectors of length 1, of shape (photos, dimensions).
        block: the number of queries at once; memory is at most 16 bytes × block × photos.
    """
    for start in range(0, len(vectors), block):
        queries = np.arange(start, min(start + block, len(vectors)))
        similarities = vectors[queries] @ vectors.T
        similarities[np.arange(len(queries)), queries] = -np.inf  # so that the query itself comes last
        order = np.argsort(-similarities, axis=1, kind="stable")[:, :-1]
        yield Ranked(queries, order, np.take_along_axis(similarities, order, axis=1))


@dataclass(frozen=True)
class Retrieval:
    """Retrieval holds the figures of how good the rankings are.

    The arrays have a value for each query with at least one other photo of its label.

    Attributes:
        queries: the rows of these photos.
        average_precision: the average precision over all photos of the label.
        recall: by k, the share of the label's photos that are among the first k hits.
        hit: by k, whether any of the first k hits is right.
        ndcg: by k, the normalised discounted cumulative gain.
        precision_curve: the mean interpolated precision at the recalls of `ranking_metrics.LEVELS`.
        recall_curve: the mean recall@k for k from 1 to `DEEPEST`.
        top: the rows of the first hits, of shape (queries, SHOWN); -1 if there are fewer.
        left_out: the number of queries without another photo of their label.
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
        """Return the means over all queries, by the name of the figure."""
        named = {"map": self.average_precision, "p_at_1": self.hit[1]}
        named |= {f"recall_at_{k}": self.recall[k] for k in CUTS[1:]}
        named |= {f"hit_at_{k}": self.hit[k] for k in CUTS[1:-1]}
        named |= {f"ndcg_at_{k}": self.ndcg[k] for k in CUTS[1:-1]}
        return {name: float(values.mean()) for name, values in named.items()}


def retrieval(rankings: Iterable[Ranked], labels: Counts) -> Retrieval:
    """Measure the quality of rankings; photos with the query's label are right hits.

    Args:
        rankings: the rankings, in blocks of queries.
        labels: the label of each photo as a number, of shape (photos,).

    Raises:
        ValueError: no query has another photo of its label.
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
    """Measure one block of rankings, as `retrieval` does."""
    query_labels = labels[ranked.queries]
    usable = sizes[query_labels] > 1
    order, totals = ranked.order[usable], sizes[query_labels[usable]] - 1
    relevance = (labels[order] == query_labels[usable, None]) & (order >= 0)
    ranks = min(DEEPEST, relevance.shape[1])
    recalls = relevance[:, :ranks].cumsum(axis=1) / totals[:, None]
    top = np.full((len(order), SHOWN), -1)
    top[:, : order.shape[1]] = order[:, :SHOWN]
    return Retrieval(
        queries=ranked.queries[usable],
        average_precision=ranking_metrics.average_precision(relevance, totals),
        recall={k: ranking_metrics.recall_at(relevance, totals, k) for k in CUTS},
        hit={k: ranking_metrics.hit_at(relevance, k) for k in CUTS},
        ndcg={k: ranking_metrics.ndcg_at(relevance, totals, k) for k in CUTS},
        precision_curve=ranking_metrics.interpolated_precision(relevance, totals).mean(axis=0),
        recall_curve=np.pad(recalls.mean(axis=0), (0, DEEPEST - ranks), mode="edge"),
        top=top,
        left_out=0,
    )
