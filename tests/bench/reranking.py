"""Re-ranking: how much better, for how many milliseconds, and whether what is served is what was judged."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from lookalike import Client, Embedding
from lookalike.evaluation.ranking import Ranked, Vectors, leave_one_out, retrieval
from lookalike.ranking_metrics import Counts
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.search import reranking
from tests.bench.figures import Figure
from tests.bench.labelled_photos import Set
from tests.bench.latency import milliseconds, timed
from tests.bench.searcher_process import index, site

DEPTHS: Final = (100, 200, 400)
RECOMMENDED: Final = reranking.DEPTH
"""The depth that counts for `map_over_flatten`."""
_PROJECT: Final = "bench"
_SPACE: Final = "bench"
_PART: Final = 512
_QUERIES: Final = 60
Scores = Callable[[Vectors], ArrayLike]
"""From the vectors of a query and its shortlist to what each of the shortlist scores."""
_LIMIT: Final = 10


def mean_average_precision(rankings: Iterator[Ranked], own: Set) -> float:
    """MAP of rankings of the set's photos."""
    return retrieval(rankings, own.photo_labels).figures()["map"]


def reranked(vectors: Vectors, depth: int, scores: Scores = reranking.scores) -> Iterator[Ranked]:
    """Each photo as a query against all others: the nearest so many re-ranked, the rest as they were."""
    for ranked in leave_one_out(vectors):
        for row, query in enumerate(ranked.queries):
            ranked.order[row, :depth] = _reordered(vectors, int(query), ranked.order[row, :depth], scores)
        yield ranked


def _reordered(vectors: Vectors, query: int, shortlist: Counts, scores: Scores) -> Counts:
    """The shortlist by what it scores."""
    found = np.asarray(scores(vectors[[query, *shortlist]]))
    return np.asarray(shortlist[np.argsort(-found, kind="stable")])


async def measure(own: Set, folder: Path) -> list[Figure]:
    """Searches by a real searcher over the set, by turns without re-ranking and with it."""
    with (folder / "searcher.log").open("wb") as log:
        async with site(folder / "data", log) as searcher, Client(searcher=searcher.address) as client:
            await client.create_project(_PROJECT, space=_SPACE)
            await index(searcher.stub, _requests(own.vectors))
            return await _served(client, own)


async def _served(client: Client, own: Set) -> list[Figure]:
    """Latencies first: numpy's threads keep a core busy for a while after they have worked."""
    rows = [int(row) for row in np.random.default_rng(0).permutation(len(own.vectors))[:_QUERIES]]
    rows_of = {_sha256(row): row for row in range(len(own.vectors))}
    embeddings = {row: Embedding(_SPACE, tuple(own.vectors[row].tolist())) for row in rows}

    async def search(row: int, depth: int) -> list[int]:
        result = await client.search(_PROJECT, embedding=embeddings[row], limit=_LIMIT, rerank=depth)
        return [rows_of[bytes.fromhex(hit.sha256)] for hit in result.hits]

    seconds: dict[int, list[float]] = {depth: [] for depth in (0, *DEPTHS)}
    for row in rows:
        for depth, found in seconds.items():
            found += await timed(partial(search, depth=depth), [row])
    agree = [_same(await search(row, depth), own.vectors, row, depth) for row in rows for depth in DEPTHS]
    on = f"over {len(own.vectors):,} images, exactly ranked"
    figures = [Figure(f"search_p50_ms.rerank_{depth}", milliseconds(found), on) for depth, found in seconds.items()]
    return [*figures, Figure("served_as_judged", float(np.mean(agree)), "share of the first ten that are the same")]


def _same(served: list[int], vectors: Vectors, row: int, depth: int) -> float:
    """The share of the served hits that the bench's own ranking has, the query's own image among them."""
    shortlist = np.argsort(-(vectors @ vectors[row]), kind="stable")[:depth]
    wanted = _reordered(vectors, row, shortlist, reranking.scores)[: len(served)]
    return len(set(served) & set(wanted.tolist())) / len(served)


def _requests(vectors: Vectors) -> list[wire.IndexImagesRequest]:
    entries = [
        wire.ImageEntry(
            sha256=_sha256(row),
            embedding=common.Embedding(space=_SPACE, values=vector.tolist()),
            reference=wire.Reference(uri=str(row)),
        )
        for row, vector in enumerate(vectors)
    ]
    return [
        wire.IndexImagesRequest(sequence=number, project=_PROJECT, entries=entries[start : start + _PART])
        for number, start in enumerate(range(0, len(entries), _PART))
    ]


def _sha256(row: int) -> bytes:
    return hashlib.sha256(str(row).encode()).digest()


def run(own: Set, folder: Path) -> list[Figure]:
    """`measure`, from where nothing is awaited."""
    folder.mkdir(parents=True)
    return asyncio.run(measure(own, folder))
