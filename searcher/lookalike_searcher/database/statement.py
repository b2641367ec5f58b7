"""The SQL of this package: one statement a file, in `sql/`, with names in braces where something must be filled in."""

from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
"""What statements run on: a connection of its own, or one that a pool lends."""


_TEXTS: Final = 4096
"""Texts of statements that are kept: a few for each project in use and each kind of filter."""


def schema_of(project_id: int) -> str:
    """The schema in which a project's images live. Made from a number, so it needs no quoting."""
    return f"p{project_id}"


def vectors_of(space_id: int) -> str:
    """The table, in its project's schema, of a space's vectors."""
    return f"vector_{space_id}"


def index_of(space_id: int) -> str:
    """The HNSW index over a space's vectors, in the same schema."""
    return f"vector_{space_id}_hnsw"


@cache
def fragment(name: str) -> str:
    """A file of `sql/`, as it is."""
    return (files(__package__) / "sql" / f"{name}.sql").read_text()


@lru_cache(_TEXTS)
def statement(name: str, project_id: int | None = None, space: int | None = None, **parts: str) -> str:
    """The statement of that name, for a project and a space if it is about them.

    The text is the same for the same arguments, so that asyncpg's prepared statements are used again.

    Args:
        name: its file.
        project_id: fills in `{schema}`.
        space: a space's id; fills in `{vectors}`, the table's name with its schema, and `{index}`, the index's without.
        parts: SQL for further places.
    """
    text = fragment(name)
    for part, sql in parts.items():  # parts may hold places of later parts
        text = text.replace(f"{{{part}}}", sql)
    return fill(text, project_id, space)


def fill(text: str, project_id: int | None, space_id: int | None) -> str:
    """The text with the names of a project's and a space's schema, table and index."""
    if project_id is not None:
        schema = schema_of(project_id)
        if space_id is not None:
            text = text.replace("{vectors}", f"{schema}.{vectors_of(space_id)}").replace("{index}", index_of(space_id))
        text = text.replace("{schema}", schema)
    return text
