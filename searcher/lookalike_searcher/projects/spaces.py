"""A new model without an outage: a second space is made, compared, cut over to, and the old one deleted."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import schema_of, statement, vectors_of
from lookalike_searcher.errors import AlreadyExists, FailedPrecondition, NotFound
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.registry import Project
from lookalike_searcher.search import search
from lookalike_searcher.search.hit import Hit
from lookalike_searcher.search.query import Example, Query
from lookalike_searcher.search.search import Search


@dataclass(frozen=True)
class Derivation:
    """What a space is to be derived by: the name of its source, and a projection as it is stored."""

    source: str
    matrix: bytes
    centre: bytes


@dataclass(frozen=True)
class Figures:
    """How a space did: the mean share of hits of the query's product, 0 to 1, and the median seconds of a search."""

    space: str
    same_product: float
    median_seconds: float


@dataclass(frozen=True)
class Comparison:
    """Two spaces side by side: over how many queries, and the mean share of hits that both gave, 0 to 1."""

    samples: int
    overlap: float
    serving: Figures
    other: Figures


@dataclass(frozen=True)
class _Answer:
    """What one space said to one query."""

    hits: frozenset[bytes]
    same_product: float | None
    seconds: float


async def create(database: Database, project: str, name: str, derivation: Derivation | None = None) -> Project:
    """Add an empty space to the project, and its table.

    Raises:
        NotFound: there is no such project, or it has no such source.
        AlreadyExists: it has such a space.
        FailedPrecondition: the source is derived itself.
    """
    async with registry.writing(database, project) as (connection, found):
        source = found.in_space(derivation.source) if derivation else None
        if source and source.source_id:
            raise FailedPrecondition.source_is_derived(project, source.name)
        space_id = await connection.fetchval(statement("space_insert"), found.id, name, False)
        if space_id is None:
            raise AlreadyExists.space(project, name)
        await connection.execute(statement("space_create", found.id, space_id))
        if derivation and source:
            stored = (derivation.matrix, derivation.centre)
            await connection.execute(statement("projection_insert"), space_id, source.id, *stored)
        return await registry.read(connection, project)


async def cut_over(database: Database, project: str, name: str, *, allow_incomplete: bool, index_from: int) -> Project:
    """Make the space the one that serves, atomically.

    Args:
        database: where.
        project: the project's name.
        name: the space's.
        allow_incomplete: whether it may lack vectors, whose images are then not found, or its index.
        index_from: the number of images from which a space should have an index.

    Raises:
        NotFound: there is no such project or space.
        FailedPrecondition: it lacks vectors or its index.
    """
    async with registry.writing(database, project) as (connection, found):
        space = found.in_space(name)
        missing = found.image_count - await connection.fetchval(statement("vector_count", found.id, space.id))
        indexed = space.index_time is not None or found.image_count < index_from
        if (missing or not indexed) and not allow_incomplete:
            raise FailedPrecondition.space_incomplete(project, name, missing, indexed=indexed)
        await connection.execute(statement("space_serve"), found.id, space.id, missing == 0)
        return await registry.read(connection, project)


async def delete(database: Database, project: str, name: str) -> Project:
    """Drop the space's table and forget it, both or neither.

    Raises:
        NotFound: there is no such project or space.
        FailedPrecondition: it serves, or others are derived from it.
    """
    async with registry.writing(database, project) as (connection, found):
        space = found.in_space(name)
        if space.name == found.space:
            raise FailedPrecondition.space_serves(project, name)
        if derived := found.derived(space):
            raise FailedPrecondition.space_has_derived(project, name, [other.name for other in derived])
        await connection.execute(statement("project_wait_for_readers"), found.id)
        await connection.execute(statement("space_drop", found.id, space.id))
        await connection.execute(statement("space_delete"), space.id)
        return await registry.read(connection, project)


async def compare(database: Database, project: str, name: str, *, samples: int, limit: int) -> Comparison:
    """Search for sampled images in the space and in the one that serves.

    Raises:
        NotFound: there is no such project or space.
    """
    async with registry.reading(database, project) as (connection, found):
        serving, other = found.serving, found.in_space(name)
        others = f"{schema_of(found.id)}.{vectors_of(other.id)}"
        rows = await connection.fetch(statement("space_sample", found.id, serving.id, others=others), samples)
    pairs: list[tuple[_Answer, _Answer]] = []
    for row in rows:
        try:
            pair = [await _ask(database, project, row["sha256"], space.name, limit) for space in (serving, other)]
        except NotFound:  # it has been deleted since
            continue
        pairs.append((pair[0], pair[1]))
    shares = [len(a.hits & b.hits) / max(1, len(a.hits), len(b.hits)) for a, b in pairs]
    return Comparison(
        samples=len(pairs),
        overlap=fmean(shares) if shares else 0.0,
        serving=_figures(serving.name, [pair[0] for pair in pairs]),
        other=_figures(other.name, [pair[1] for pair in pairs]),
    )


async def _ask(database: Database, project: str, sha256: bytes, space: str, limit: int) -> _Answer:
    started = time.perf_counter()
    ranking = await search.rank(database, Search(project, Query((Example(sha256=sha256),)), limit + 1, space))
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
