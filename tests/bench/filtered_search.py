"""Filters: whether searches with them find as many of the nearest as there are, and how long the two ways take."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.rpc import parse
from lookalike_searcher.search import rank, way
from tests.bench.dataset import ORDERS, PRODUCTS, SHELVES, Dataset
from tests.bench.figures import Figure
from tests.bench.ground_truth import Truth
from tests.bench.latency import milliseconds, timed
from tests.bench.searcher_process import Site
from tests.bench.searches import Queries, answered

_LIMIT: Final = 10
_QUERIES: Final = 25
_COMPARED: Final = 8
_SHARES: Final = {"1%": 100, "0.1%": 10, "0.01%": 1}
"""In boxes, of which there are ten thousand."""
_WALKED: Final = (1, 5, 10, 20, 50)
"""In shelves, of which there are a hundred."""


@dataclass(frozen=True)
class Case:
    """A filter, and the images that pass it."""

    name: str
    filter: wire.Filter
    passing: NDArray[np.bool_]


def cases(dataset: Dataset, share: str, rng: np.random.Generator) -> Iterator[Case]:
    """A filter of about that share by label and one by product, each at random and along the clusters."""
    boxes = _SHARES[share]
    product = np.array([dataset.product(row) for row in range(len(dataset))])
    for order in ORDERS:
        shelf, box = int(rng.integers(SHELVES)), int(rng.integers(SHELVES - min(boxes, SHELVES) + 1))
        groups = [_group(f"{order}-shelf", [shelf])]
        if boxes < SHELVES:
            groups.append(_group(f"{order}-box", range(box, box + boxes)))
        within = dataset.box(order) - shelf * SHELVES - box
        yield Case(f"{order} label", wire.Filter(labels=groups), (within >= 0) & (within < boxes))
        first = int(rng.integers(PRODUCTS - boxes))
        names = [f"{order}-{number}" for number in range(first, first + boxes)]
        yield Case(f"{order} product", wire.Filter(products=names), np.isin(product, names))


def _group(name: str, values: Sequence[int] | range) -> wire.LabelGroup:
    return wire.LabelGroup(any_of=[wire.Label(name=name, value=str(value)) for value in values])


async def measure(site: Site, queries: Queries, truth: Truth) -> list[Figure]:
    """Recall of selective filters, then latency of wider ones."""
    rng, dataset = np.random.default_rng(1), queries.dataset
    return [
        *[await _recall(site, queries, truth, share, list(cases(dataset, share, rng))) for share in _SHARES],
        *await _ways(site, queries, truth),
    ]


async def _recall(site: Site, queries: Queries, truth: Truth, share: str, filters: Sequence[Case]) -> Figure:
    recalls: list[float] = []
    seconds: list[float] = []
    for case in filters:
        taken, answers = await answered(site, queries.requests(_LIMIT, filter=case.filter)[:_QUERIES])
        seconds += taken
        recalls.append(truth.mean_recall(answers, _LIMIT, case.passing))
    passing = statistics.mean(int(case.passing.sum()) for case in filters)
    on = (
        f"{len(seconds)} queries; labels and products, at random and by cluster; {passing:,.0f} images pass; as many"
        f" hits as exist; p50 {milliseconds(seconds):.2f} ms"
    )
    return Figure(f"filtered_recall_at_10.{share}", float(np.mean(recalls)), on, least=0.99)


async def _ways(site: Site, queries: Queries, truth: Truth) -> list[Figure]:
    """The same filter, first or while the index is walked: made here by the searcher's code, so without the RPC."""
    figures = []
    for order in ORDERS:
        for shelves in _WALKED:
            chosen = wire.Filter(labels=[_group(f"{order}-shelf", range(shelves))])
            passing = dataset_share(queries.dataset, order, shelves)
            requests = queries.requests(_LIMIT, filter=chosen)[:_COMPARED]
            asked = [parse.search(request)[0] for request in requests]
            paces = []
            for selective in (len(queries.dataset), 0):
                with patch.object(way, "SELECTIVE", selective):
                    paces.append(milliseconds(await timed(lambda one: rank.rank(site.database, one), asked)))
            _, answers = await answered(site, requests)
            recall = truth.mean_recall(answers, _LIMIT, passing)
            mode = "exact" if answers[0].mode == wire.SEARCH_MODE_EXACT else "approximate"
            on = f"{order} {shelves} %: {paces[0]:.1f} ms filtered first, {paces[1]:.1f} ms while walking; by default"
            on += f" {mode}, recall {recall:.3f}"
            figures.append(Figure(f"walking_over_filtering_first.{order} {shelves}%", paces[1] / paces[0], on))
    return figures


def dataset_share(dataset: Dataset, order: str, shelves: int) -> NDArray[np.bool_]:
    """The rows on the first shelves."""
    return np.asarray(dataset.box(order) < shelves * SHELVES)
