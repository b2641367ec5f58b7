"""Whether a project's tables agree with one another and with the registry."""

from typing import Final

from lookalike_searcher.database.statement import Connection, fill, schema_of, vectors_of
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Project

# Each counts what should not be there. Whole tables are read, so that no index can hide a row.
_OF_PROJECT: Final = {
    "hashes that two images have": "SELECT count(*) - count(DISTINCT sha256) FROM {schema}.image",
    "references that are there twice": (
        "SELECT count(*) - count(DISTINCT (uri, product, variant, staged)) FROM {schema}.image_reference"
    ),
    "references without an image": (
        "SELECT count(*) FROM {schema}.image_reference AS reference"
        " LEFT JOIN {schema}.image ON image.id = reference.image_id WHERE image.id IS NULL"
    ),
    "images without a reference": (
        "SELECT count(*) FROM {schema}.image"
        " LEFT JOIN {schema}.image_reference AS reference ON reference.image_id = image.id WHERE reference.id IS NULL"
    ),
}
_OF_SPACE: Final = {
    "vectors without an image": (
        "SELECT count(*) FROM {vectors} AS stored LEFT JOIN {schema}.image ON image.id = stored.image_id"
        " WHERE image.id IS NULL"
    ),
    "images with two vectors": "SELECT count(*) - count(DISTINCT image_id) FROM {vectors}",
}
_IF_COMPLETE: Final = {
    "images without a vector": (
        "SELECT count(*) FROM {schema}.image LEFT JOIN {vectors} AS stored ON stored.image_id = image.id"
        " WHERE stored.image_id IS NULL"
    ),
}
_COUNTS: Final = "SELECT (SELECT count(*) FROM {schema}.image), (SELECT count(*) FROM {schema}.image_reference)"
_TABLES: Final = (
    "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    " WHERE nspname = $1 AND relkind IN ('r', 'p') AND relname LIKE 'vector%'"
)
_INDEXES: Final = (
    "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
    " JOIN pg_am ON pg_am.oid = relam JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    " WHERE nspname = $1 AND amname = 'hnsw'"
)


async def audit(connection: Connection, name: str) -> Project:
    """Assert that everything is there once, that nothing dangles, and that the counts are right; the project."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off")
        project = await registry.read(connection, name)
        found = {what: await connection.fetchval(fill(sql, project.id, None)) for what, sql in _OF_PROJECT.items()}
        for space in project.spaces:
            for what, sql in {**_OF_SPACE, **(_IF_COMPLETE if space.complete else {})}.items():
                found[f"{what} in {space.name}"] = await connection.fetchval(fill(sql, project.id, space.id))
        assert not any(found.values()), {what: count for what, count in found.items() if count}
        counts = await connection.fetchrow(fill(_COUNTS, project.id, None))
        assert counts
        assert tuple(counts) == (project.image_count, project.reference_count)
        tables = {row["relname"] for row in await connection.fetch(_TABLES, schema_of(project.id))}
        assert tables == {vectors_of(space.id) for space in project.spaces}
    return project


async def indexes(connection: Connection, project: Project) -> dict[str, bool]:
    """The names of the project's HNSW indexes, and whether each was completed."""
    rows = await connection.fetch(_INDEXES, schema_of(project.id))
    return {row["relname"]: row["indisvalid"] for row in rows}
