"""Our searches beside those of an expert's own program, which asks pgvector alone for as good an answer."""

from typing import Final

from lookalike_searcher.database.halfvec import encode
from tests.bench.depth import least_for
from tests.bench.figures import Figure
from tests.bench.ground_truth import Truth
from tests.bench.latency import by_turns, milliseconds
from tests.bench.pgvector import recall_and_milliseconds, tables
from tests.bench.searcher_process import Site
from tests.bench.searches import Queries, answered

_M, _EF_CONSTRUCTION = 16, 64
"""pgvector's defaults."""
_ROUNDS: Final = 15
_TURN: Final = 30


async def measure(site: Site, queries: Queries, truth: Truth) -> list[Figure]:
    """The same images in its own tables and index; the least hnsw.ef_search whose recall is ours or better."""
    requests, halves = queries.requests(), encode(queries.vectors)
    ours = truth.mean_recall((await answered(site, requests))[1], 10)
    async with tables(site.url) as expert:
        await expert.fill(queries.dataset, range(len(queries.dataset)))
        graph = await expert.build(_M, _EF_CONSTRUCTION)

        async def recall_at(depth: int) -> float:
            await expert.depth(depth)
            return (await recall_and_milliseconds(expert, queries.vectors, truth))[0]

        found = await least_for(ours, recall_at)
        await expert.depth(found.depth)
        parties = {
            "ours": lambda query: site.stub.Search(requests[query]),
            "by hand": lambda query: expert.search(halves[query]),
        }
        seconds = await by_turns(parties, len(requests), rounds=_ROUNDS, turn=_TURN)
    p50, by_hand = milliseconds(seconds["ours"]), milliseconds(seconds["by hand"])
    on = (
        f"asyncpg, one prepared statement, hits with hash and references, no service; {by_hand:.2f} ms at recall@10"
        f" {found.recall:.4f}, hnsw.ef_search {found.depth}; ours {p50:.2f} ms at {ours:.4f}; by turns"
    )
    return [
        Figure("p50_over_pgvector_by_hand", p50 / by_hand, on, most=1.8),
        Figure(
            "pgvector_by_hand_p50_ms", by_hand, f"m {_M}, ef_construction {_EF_CONSTRUCTION}, {graph.seconds:.0f} s"
        ),
    ]
