"""Compare two spaces of a project, over the same queries."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import schema_of, statement, vectors_of
from lookalike_searcher.errors import NotFound
from lookalike_searcher.projects import registry
from lookalike_searcher.search import rank
from lookalike_searcher.search.hit import Hit
from lookalike_searcher.search.query import Example, Query
from lookalike_searcher.search.types import Search


@dataclass(frozen=True)
class Figures:
    """A space's figures are the mean share of hits of the query's product, 0 to 1, and a search's median time."""

    space: str
    same_product: float
    median_seconds: float


@dataclass(frozen=True)
class Comparison:
    """A comparison has two spaces' figures, the number of queries, and the mean share of common hits, 0 to 1."""

    samples: int
    overlap: float
    serving: Figures
    other: Figures


@dataclass(frozen=True)
class _Answer:
    """The answer of one space to one query."""

    hits: frozenset[bytes]
    same_product: float | None
    seconds: float


async def compare(database: Database, project_name: str, name: str, *, samples: int, limit: int) -> Comparison:
    """Search for sampled images in the space and in the one that serves.

    Raises:
        NotFound: there is no such project or space.
    """
    async with registry.reading(database, project_name) as (connection, project):
        serving, other = project.serving, project.in_space(name)
        other_vectors = f"{schema_of(project.id)}.{vectors_of(other.id)}"
        rows = await connection.fetch(statement("space_sample", project.id, serving.id, others=other_vectors), samples)
    pairs: list[tuple[_Answer, _Answer]] = []
    for row in rows:
        try:
            pair = [await _ask(database, project_name, row["sha256"], space.name, limit) for space in (serving, other)]
        except NotFound:  # the image has been deleted since
            continue
        pairs.append((pair[0], pair[1]))
    shares = [len(a.hits & b.hits) / max(1, len(a.hits), len(b.hits)) for a, b in pairs]
    return Comparison(
        samples=len(pairs),
        overlap=fmean(shares) if shares else 0.0,
        serving=_figures(serving.name, [pair[0] for pair in pairs]),
        other=_figures(other.name, [pair[1] for pair in pairs]),
    )


async def _ask(database: Database, project_name: str, sha256: bytes, space: str, limit: int) -> _Answer:
    started = time.perf_counter()
    ranking = await rank.rank(database, Search(project_name, Query((Example(sha256=sha256),)), limit + 1, space))
    seconds = time.perf_counter() - started
    own = {product for hit in ranking.hits if hit.sha256 == sha256 for product in _products(hit)}
    others = [hit for hit in ranking.hits if hit.sha256 != sha256][:limit]
    same = fmean(bool(_products(hit) & own) for hit in others) if own and others else None
    return _Answer(frozenset(hit.sha256 for hit in others), same, seconds)


def _products(hit: Hit) -> set[str]:
    return {reference.product for reference in hit.references if reference.product}


def _figures(space: str, answers: Sequence[_Answer]) -> Figures:
    shares = [answer.same_product for answer in answers if answer.same_product is not None]
    return Figures(
        space=space,
        same_product=fmean(shares) if shares else 0.0,
        median_seconds=median(answer.seconds for answer in answers) if answers else 0.0,
    )
