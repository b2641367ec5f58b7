"""Find what is nearest to views of the query's picture: copies that were altered much are near to one of them alone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from lookalike_searcher.copies.proof import Proof
from lookalike_searcher.database.pool import Database
from lookalike_searcher.search import rank
from lookalike_searcher.search.hit import Hit
from lookalike_searcher.search.query import Example, Query
from lookalike_searcher.search.types import Ranking, Search

NEAREST_TO_QUERY: Final = 100
NEAREST_TO_VIEW: Final = 20
"""So many of the nearest to the query itself, and to each view, are compared."""


async def candidates(database: Database, search: Search, ranking: Ranking) -> list[Hit]:
    """Return what is near to the query or its views, and is no hit of the ranking; each with its greatest similarity.

    Raises the errors of `rank.rank`.
    """
    known = {hit.image_id for hit in ranking.hits}
    nearest: dict[int, Hit] = {}
    wider = replace(search, limit=NEAREST_TO_QUERY, views=())
    queries = (Query((Example(embedding=view),)) for view in search.views)
    for near in (wider, *(replace(wider, query=query, limit=NEAREST_TO_VIEW) for query in queries)):
        for hit in (await rank.rank(database, near)).hits:
            if hit.image_id not in known and (
                hit.image_id not in nearest or hit.similarity > nearest[hit.image_id].similarity
            ):
                nearest[hit.image_id] = hit
    return list(nearest.values())


def with_proven(ranking: Ranking, found: list[Hit], proofs: Mapping[bytes, Proof], limit: int) -> Ranking:
    """Return the ranking with those of `found` that are proven, in place of its last hits that are not."""

    def is_proven(hit: Hit) -> bool:
        return hit.sha256 in proofs and proofs[hit.sha256].is_copy

    added = [hit for hit in found if is_proven(hit)]
    hits = sorted([*ranking.hits, *added], key=lambda hit: hit.rank)
    unproven = [hit for hit in hits if not is_proven(hit) and hit.sha256 != ranking.query.sha256]
    dropped = set(map(id, unproven[::-1][: max(0, len(hits) - limit)]))
    return replace(ranking, hits=[hit for hit in hits if id(hit) not in dropped][:limit], last=None)
