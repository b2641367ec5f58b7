"""Decide how a search is ranked in its project: exactly or through the index, and how deep that is walked."""

from typing import Final, NamedTuple

from lookalike_searcher.database import walking
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.images.filter import Filter
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.space import Space
from lookalike_searcher.search.types import Page, Reason, Search

SELECTIVE: Final = 10_000
"""With so many matching references or fewer, the filter is applied first, and the matching images are ranked exactly.

With more, the index is walked, and images that do not match are skipped. By `make bench-searcher`, both are about as
fast at this number."""

_IMAGES_PER_PRODUCT: Final = 5
"""So many of the nearest images are looked at for one product, at first."""


class Way(NamedTuple):
    """The way says how a search is ranked in its project, as far as that is known before anything is looked up.

    Attributes:
        space: the space that is searched.
        page: what is to be found.
        depth: how many images the index is asked for at first.
        reason: why the ranking must be exact; None if it need not be, or only a filter can tell.
        ef_search: with which the index is walked at first; None if it is not, or only a filter can tell.
    """

    space: Space
    page: Page
    depth: int
    reason: Reason | None
    ef_search: int | None

    @property
    def settings(self) -> str:
        """Return the settings with which the transaction begins."""
        return "" if self.ef_search is None else walking.settings(self.ef_search, one_plan=True)

    async def why_exact(self, connection: Connection, project: Project, image_filter: Filter) -> Reason | None:
        """Return why the ranking must be exact; None if the index can be walked."""
        if self.reason is None and image_filter and await _is_selective(connection, project, image_filter):
            return Reason.FILTER
        return self.reason


def way_of(search: Search, exact_threshold: float, project: Project) -> Way:
    """Return the way of a search in the project, which should have an index from the threshold on. Raises NotFound."""
    space, page = project.in_space(search.space), search.page
    depth = (page.start.depth if page.start else 0) + page.depth
    if search.by_product:
        depth *= _IMAGES_PER_PRODUCT
    reason = None
    if search.exact:
        reason = Reason.ASKED
    elif search.after and search.after.exact:
        reason = Reason.EARLIER_PAGE
    elif space.index_time is None:
        reason = Reason.INDEX_BUILDING if project.image_count >= exact_threshold else Reason.BELOW_THRESHOLD
    elif space.exact_is_as_fast(depth):
        reason = Reason.BELOW_THRESHOLD
    return Way(space, page, depth, reason, None if reason or search.filter else space.ef_search(depth))


async def _is_selective(connection: Connection, project: Project, image_filter: Filter) -> bool:
    """Return whether so few images match the filter that all of them can be compared."""
    conditions, arguments = image_filter.conditions("reference", 2)
    count = statement("search_count", project.id, filter=conditions)
    return bool(await connection.fetchval(count, SELECTIVE + 1, *arguments) <= SELECTIVE)
