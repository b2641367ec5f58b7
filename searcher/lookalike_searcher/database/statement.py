"""Load the SQL of this package: one statement a file, in `sql/`, with names in braces for what is filled in."""

from functools import cache, lru_cache
from importlib.resources import files
from itertools import dropwhile
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
"""Statements run on a connection of their own, or on one that a pool lends."""


MAX_ID: Final = 2**63 - 1
"""No id is larger: what is read up to it is read to the end."""
TEXTS: Final = 4096
"""So many texts of statements are cached: a few for each project in use and each kind of filter."""


def schema_of(project_id: int) -> str:
    """Return the schema in which a project's images live. It is made from a number, so it needs no quoting."""
    return f"p{project_id}"


def vectors_of(space_id: int) -> str:
    """Return the name of the table of a space's vectors, in its project's schema."""
    return f"vector_{space_id}"


def index_of(space_id: int) -> str:
    """Return the name of the HNSW index over a space's vectors, in the same schema."""
    return f"vector_{space_id}_hnsw"


@cache
def fragment(name: str) -> str:
    """Return the text of a file of `sql/`, without filling anything in, and without the comments at its beginning."""
    lines = (files(__package__) / "sql" / f"{name}.sql").read_text().splitlines(keepends=True)
    return "".join(dropwhile(lambda line: line.startswith("--"), lines))


@lru_cache(TEXTS)
def statement(name: str, project_id: int | None = None, space: int | None = None, **parts: str) -> str:
    """Return the statement of that name, filled in for a project and a space if it has places for them.

    The same arguments give the same text, so that asyncpg can reuse its prepared statements.

    Args:
        name: the name of its file.
        project_id: fills in `{schema}`.
        space: a space's id; fills in `{vectors}`, the table's name with its schema, and `{index}`, the index's without.
        parts: SQL for further places, by their names.
    """
    text = fragment(name)
    for part, sql in parts.items():  # a part may have places for later parts
        text = text.replace(f"{{{part}}}", sql)
    return fill(text, project_id, space)


def fill(text: str, project_id: int | None, space_id: int | None) -> str:
    """Return the text, filled in with the names of a project's schema, and of a space's table and index."""
    if project_id is not None:
        schema = schema_of(project_id)
        if space_id is not None:
            text = text.replace("{vectors}", f"{schema}.{vectors_of(space_id)}").replace("{index}", index_of(space_id))
        text = text.replace("{schema}", schema)
    return text
