"""Have the settings with which PostgreSQL walks an HNSW index, for one transaction or for a session."""

from functools import cache
from typing import Final

MAX_SCANNED: Final = 200_000
"""A walk of the index looks at so many images before the ranking is made exactly instead."""
_WALK: Final = {
    # The walk goes on until enough images pass the filter. By default, pgvector does not go on.
    "hnsw.iterative_scan": "relaxed_order",
    "hnsw.max_scan_tuples": str(MAX_SCANNED),
    # The planner must not rank in another way.
    "enable_seqscan": "off",
    "enable_sort": "off",
}
_ONE_PLAN: Final = {"plan_cache_mode": "force_generic_plan"}
"""Without a filter, one plan is as good as another. With the generic one, PostgreSQL does not plan each search anew."""
_OF_PLANNER: Final = [name for name in (_WALK | _ONE_PLAN) if not name.startswith("hnsw.")]

SESSION: Final = "; ".join(f"SET {name} = {value}" for name, value in (_WALK | _ONE_PLAN | {"jit": "off"}).items())
"""For searches of one statement, which begin no transaction, a session has these settings."""
USUAL: Final = "".join(f"SET LOCAL {name} TO DEFAULT; " for name in (*_OF_PLANNER, "jit"))
"""A transaction begins with these in such a session, so that its statements are planned as everywhere."""


@cache
def settings(ef_search: int, *, one_plan: bool = False) -> str:
    """Return settings for walking the index, for the rest of the transaction; each ends with a semicolon.

    Args:
        ef_search: pgvector's `hnsw.ef_search`: how many images the walk keeps in sight.
        one_plan: whether PostgreSQL may keep the plan of a statement, whatever its arguments.
    """
    chosen = {"hnsw.ef_search": str(ef_search)} | _WALK | (_ONE_PLAN if one_plan else {})
    return " ".join(f"SET LOCAL {name} = {value};" for name, value in chosen.items())
