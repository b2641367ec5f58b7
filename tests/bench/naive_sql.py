"""The arithmetic of the first description of such a search, in plain SQL over arrays, beside ours."""

from typing import Final

from lookalike_searcher.database.statement import fill
from lookalike_searcher.projects import registry
from tests.bench.figures import Figure
from tests.bench.latency import milliseconds, timed
from tests.bench.searcher_process import Site
from tests.bench.searches import PROJECT, Queries, answered

_QUERIES: Final = 3
_FILL: Final = "INSERT INTO bench_naive SELECT image_id, vector::real[] FROM {vectors}"
_TABLE: Final = "CREATE UNLOGGED TABLE bench_naive (image_id bigint PRIMARY KEY, vector real[] STORAGE PLAIN NOT NULL)"
_RANK: Final = """
SELECT image_id, cosine
FROM bench_naive, LATERAL (
    SELECT sum(a * b) / (sqrt(sum(a * a)) * sqrt(sum(b * b))) AS cosine
    FROM unnest(vector, $1::real[]) AS pair (a, b)
) AS compared
ORDER BY cosine DESC
LIMIT 10
"""


async def measure(site: Site, queries: Queries) -> list[Figure]:
    """The same images in a table of arrays, kept in their rows, which is best for it."""
    project = await registry.get(site.database, PROJECT)
    vectors = queries.vectors[:_QUERIES]
    async with site.database.connection() as connection:
        await connection.execute(_TABLE)
        await connection.execute(fill(_FILL, project.id, project.serving.id))
        await connection.execute("ANALYZE bench_naive")
        naive = milliseconds(await timed(lambda vector: connection.fetch(_RANK, vector.tolist()), list(vectors)))
        await connection.execute("DROP TABLE bench_naive")
    ours = milliseconds((await answered(site, queries.requests()[:100]))[0])
    on = f"real[] and sum(a * b) / (|a| |b|) over unnest, {len(vectors)} queries: {naive:,.0f} ms; ours {ours:.2f} ms"
    return [Figure("naive_sql_over_ours", naive / ours, on)]
