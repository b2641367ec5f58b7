"""Define what a search asks for, and what it answers, in named tuples: each search makes them, and they cost least."""

import enum
from typing import Final, NamedTuple

from lookalike_searcher.images.filter import Filter
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.search.hit import Hit
from lookalike_searcher.search.query import Query, Resolved
from lookalike_serving.fingerprint import Fingerprint


class Position(NamedTuple):
    """The position is the last hit of a page, with how many hits there were up to it, and how they were found."""

    project_id: int
    space: str
    rank: float
    image_id: int
    product: str
    depth: int
    exact: bool


POSITION_TYPES: Final = (int, str, float, int, str, int, bool)
"""The types of a position's fields, to check a position that comes from a client."""


class Search(NamedTuple):
    """A search has a project, a query, and options.

    Attributes:
        project_name: the name of the project.
        query: the query to rank by.
        limit: the most hits.
        space: the name of the space; empty for the one that serves.
        filter: which images to rank.
        min_similarity: the least similarity of a hit.
        by_product: whether a hit is a product's best image.
        exact: whether every image must be compared.
        rerank: how many of the nearest are re-ranked; further hits, and pages, follow by similarity.
        after: the position of the last hit of the page before.
        search_id: the id of the search of which this is a later page; empty for a new search.
        verify: how many of the first hits are compared with the query by their fingerprints.
        fingerprint: the query's; None: that of the image of the project that is the query, if there is one.
        views: the vectors of views of the query's picture, the nearest to which are compared too.
    """

    project_name: str
    query: Query
    limit: int
    space: str = ""
    filter: Filter = Filter()
    min_similarity: float = -1.0
    by_product: bool = False
    exact: bool = False
    rerank: int = 0
    after: Position | None = None
    search_id: str = ""
    verify: int = 0
    fingerprint: Fingerprint | None = None
    views: tuple[Embedding, ...] = ()

    @property
    def page(self) -> "Page":
        """Return what is to be found for the answer."""
        offset = self.after.depth if self.after and self.after.depth < self.rerank else 0
        start = None if offset else self.after
        reranked = 0 if start else self.rerank
        shortlist = max(offset + self.limit, reranked)
        return Page(offset, start, reranked, shortlist, shortlist + 1 + self.query.has_own_file)


class Page(NamedTuple):
    """A page is a part of all hits, in the order of similarity.

    Attributes:
        offset: how many hits earlier pages had, while pages show what is re-ranked: all of it is ranked again.
        start: the hit after which the page begins; None: the nearest come first.
        reranked: how many of the nearest are re-ranked for it.
        shortlist: how many hits to find, the last of which are the page's.
        depth: how many of the nearest it needs: one more tells that there are more; the own file is apart.
    """

    offset: int
    start: Position | None
    reranked: int
    shortlist: int
    depth: int


class Reason(enum.Enum):
    """The reason says why a ranking was made through the index, or why exactly."""

    INDEX = "index"
    """The index was walked: the ranking is approximate."""
    BELOW_THRESHOLD = "below_threshold"
    """There are so few images that to compare all takes no longer than to walk an index."""
    INDEX_BUILDING = "index_building"
    """There should be an index, but it is not built yet."""
    ASKED = "asked"
    """The search asked for it."""
    FILTER = "filter"
    """So few images pass the filter that all of them were compared."""
    FELL_BACK = "fell_back"
    """The walk found too few images, or would have had to be too deep."""
    EARLIER_PAGE = "earlier_page"
    """An earlier page of the search was ranked exactly."""

    @property
    def exact(self) -> bool:
        """Return whether all images, or all that pass the filter, were compared."""
        return self is not Reason.INDEX


class Ranking(NamedTuple):
    """A ranking has hits in order of score, how they were found, and the end of this page if there are more.

    Attributes:
        reason: why it was made through the index, or exactly.
        recall_count: how many samples the measured recall of its space is taken from.
    """

    project_id: int
    hits: list[Hit]
    reason: Reason
    images_ranked: int
    space: str
    query: Resolved
    last: Position | None
    recall_count: int
