"""The SQL of this package: one statement a file, in `sql/`, with `{schema}` where a project's schema belongs."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
"""What statements run on: a connection of its own, or one that a pool lends."""


def schema_of(project_id: int) -> str:
    """The schema in which a project's images live. Made from a number, so it needs no quoting."""
    return f"p{project_id}"


@cache
def _template(name: str) -> str:
    return (files(__package__) / "sql" / f"{name}.sql").read_text()


def statement(name: str, project_id: int | None = None) -> str:
    """The statement of that name, for a project if it is about one.

    The text is the same for the same project, so that asyncpg's prepared statements are used again.
    """
    template = _template(name)
    return template if project_id is None else template.replace("{schema}", schema_of(project_id))
