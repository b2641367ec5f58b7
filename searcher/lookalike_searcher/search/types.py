"""What a search asks, and what it answers."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from lookalike_searcher.images.filter import Filter
from lookalike_searcher.search.hit import Hit
from lookalike_searcher.search.query import Query, Resolved


class Position(NamedTuple):
    """The last hit of a page, how many hits there were up to it, and how they were found."""

    project_id: int
    space: str
    rank: float
    image_id: int
    product: str
    depth: int
    exact: bool


POSITION_TYPES: Final = (int, str, float, int, str, int, bool)
"""Of a position's parts, for those that come from outside."""


@dataclass(frozen=True)
class Search:
    """What is asked.

    Attributes:
        project: its name.
        query: what to rank by.
        limit: the most hits.
        space: the space's name; empty for the one that serves.
        filter: which images to rank.
        min_similarity: the least similarity of a hit.
        by_product: whether a hit is a product's best image.
        exact: whether every image must be compared.
        rerank: how many of the nearest are re-ranked; hits beyond follow by similarity. There is one page then.
        after: where the page before ended.
        search_id: what the search of which this is a later page is called; empty for a new one.
    """

    project: str
    query: Query
    limit: int
    space: str = ""
    filter: Filter = field(default_factory=Filter)
    min_similarity: float = -1.0
    by_product: bool = False
    exact: bool = False
    rerank: int = 0
    after: Position | None = None
    search_id: str = ""

    @property
    def shortlist(self) -> int:
        """How many hits to find, of which the limit is left in the end."""
        return max(self.limit, self.rerank)


@dataclass(frozen=True)
class Ranking:
    """Hits, by their score; how they were found; and, if there are more, where this page ended."""

    project_id: int
    hits: list[Hit]
    exact: bool
    images_ranked: int
    space: str
    query: Resolved
    last: Position | None
