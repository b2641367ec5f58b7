"""Build the statements of searches from the fragments in `database/sql`."""

from functools import lru_cache
from typing import Final

from lookalike_searcher.database.statement import TEXTS, fragment, statement
from lookalike_searcher.images.filter import NO_CONDITION

AS_ASKED: Final = "$8::bigint"
"""An index is asked for so many images in a transaction that has found the project unchanged."""


@lru_cache(TEXTS)
def ranking(
    project_id: int, space_id: int, conditions: str, *, limit: str, by_product: bool = False, reranked: bool = False
) -> str:
    """Return the statement that ranks the images of a space; `search.sql` says what its parameters are.

    Args:
        project_id: the id of the project.
        space_id: the id of the space.
        conditions: the conditions of the search's filter.
        limit: how many images to ask the index for; empty: all images are ranked, exactly.
        by_product: whether a hit is a product's best image.
        reranked: whether the hits are to be re-ranked: they have their vectors, and nothing that is shown.
    """
    nearest = "index" if limit else "all_of_products" if by_product else "all"
    parts = {  # in this order, as earlier parts have places for later ones
        "nearest": fragment(f"search_nearest_{nearest}"),
        "limit": limit,
        **_matching(conditions, all_first=not limit),
        "hit": fragment("search_near" if reranked else "search_hit"),
        "grouped": fragment("search_grouped") if by_product else "",
        "pages_of": "grouped" if by_product else "ranked",
        **_listed(conditions, by_product=by_product),
    }
    return statement("search", project_id, space_id, **parts)


def listed(project_id: int, conditions: str, *, by_product: bool) -> str:
    """Return the statement that reads what is shown of re-ranked hits; see `search_listed.sql` and `ranking`."""
    return statement(
        "search_listed", project_id, hit=fragment("search_hit"), **_listed(conditions, by_product=by_product)
    )


def nearest_to_views(project_id: int, space_id: int, conditions: str, *, exact: bool) -> str:
    """Return the statement that finds what is nearest to several vectors; see `search_views.sql` and `ranking`."""
    parts = {
        "nearest": fragment("search_views_all" if exact else "search_views_index"),
        **_matching(conditions, all_first=exact),
        "hit": fragment("search_hit"),
        **_listed(conditions),
    }
    return statement("search_views", project_id, space_id, **parts)


def _matching(conditions: str, *, all_first: bool) -> dict[str, str]:
    """Return how the filter is applied: to all images before they are ranked, or to each that the index finds."""
    filtered = conditions != NO_CONDITION
    listed_first = filtered and all_first
    return {
        "matching": fragment("search_matching") if listed_first else "",
        "where_matching": fragment("search_where_matching") if filtered else "",
        "count_of_matching": "(SELECT count(*) FROM matching)" if listed_first else "NULL::bigint",
        "join_matching": "JOIN matching USING (image_id)" if listed_first else "",
    }


def _listed(conditions: str, *, by_product: bool = False) -> dict[str, str]:
    """Return which references of a hit are shown: those that match, and of a product's hit its own alone."""
    return {"of_product": "AND reference.product = page.product" if by_product else "", "filter": conditions}
