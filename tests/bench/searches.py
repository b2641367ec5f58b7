"""Searches through the index: how quick beside their own SQL, how many of the nearest they find, and exact ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.rpc import parse
from tests.bench.dataset import Dataset
from tests.bench.figures import Figure
from tests.bench.ground_truth import Truth
from tests.bench.latency import milliseconds, timed
from tests.bench.minimal_searcher import Recording, relay
from tests.bench.searcher_process import Site, counted
from tests.bench.sql_replay import recorded, replay
from tests.bench.synthetic_vectors import Vectors

PROJECT: Final = "catalogue"
_TURN: Final = 20
"""Searches of one party before the other has its turn: few, as the machine's pace changes by the second."""
_WARM_UP: Final = 50
_EXACT: Final = 20
_DEEP: Final = 40


@dataclass(frozen=True)
class Queries:
    """What is searched for, shuffled, in what, and in which project that is."""

    vectors: Vectors
    dataset: Dataset
    project: str = PROJECT

    def requests(self, limit: int = 0, **fields: object) -> list[wire.SearchRequest]:
        """A search for each."""
        return [
            wire.SearchRequest(project=self.project, embedding=self.dataset.embedding(vector), limit=limit, **fields)
            for vector in self.vectors
        ]


async def measure(site: Site, queries: Queries, truth: Truth, rounds: int) -> list[Figure]:
    """All of it."""
    return [
        *await _latency(site, queries, rounds),
        *await _recall(site, queries, truth),
        await _exact(site, queries, truth),
    ]


async def _latency(site: Site, queries: Queries, rounds: int) -> list[Figure]:
    """Search, its SQL alone, and an RPC that does nothing but this SQL, by turns.

    Each has other queries at a time, as the second one to ask for the same would find it in the processor's caches.
    """
    requests = queries.requests()
    sql = await recorded(site.url, [parse.search(request)[0] for request in requests])
    recording = Recording(queries.project, sql, (await site.stub.Search(requests[0])).SerializeToString())
    rpc_seconds: list[float] = []
    sql_seconds: list[float] = []
    relay_seconds: list[float] = []
    async with replay(site.url, queries.project) as alone, relay(site.url, recording, site.log) as bare:
        await timed(site.stub.Search, requests[:_WARM_UP])
        await timed(bare.stub.Search, requests[:_WARM_UP])
        await timed(alone.send, sql[:_WARM_UP])
        alone.statement.clear()
        cpu = {"searcher": 0.0, "relay": 0.0}
        for number in range(rounds):
            turns = [[(number * _TURN + n + p * len(sql) // 3) % len(sql) for n in range(_TURN)] for p in range(3)]
            with counted(cpu, "searcher", site.searcher):
                rpc_seconds += await timed(site.stub.Search, [requests[n] for n in turns[0]])
            sql_seconds += await timed(alone.send, [sql[n] for n in turns[1]])
            with counted(cpu, "relay", bare.process):
                relay_seconds += await timed(bare.stub.Search, [requests[n] for n in turns[2]])
    p50, sql_p50, relay_p50 = map(milliseconds, (rpc_seconds, sql_seconds, relay_seconds))
    searcher, relayed = (cpu[name] / len(rpc_seconds) * 1000 for name in ("searcher", "relay"))
    on = f"{len(rpc_seconds):,} searches for 10 by turns with their SQL, one after the other, on an idle searcher"
    return [
        Figure(
            "rpc_over_sql_p50_ms", p50 - sql_p50, f"{len(sql[0])} statements a search, prepared, by asyncpg", most=1.0
        ),
        Figure("relay_over_sql_p50_ms", relay_p50 - sql_p50, "a grpc.aio server that sends this SQL, and no more"),
        Figure("search_p50_ms", p50, on),
        Figure(
            "search_p99_ms", milliseconds(rpc_seconds, 0.99), "1 % of the searches is ranked exactly once more, beside"
        ),
        Figure("sql_p50_ms", sql_p50, "one statement, which ranks"),
        Figure("ranking_statement_p50_ms", milliseconds(alone.statement), "the one statement that ranks"),
        Figure("rpc_over_relay_p50_ms", p50 - relay_p50, "the searcher's p50 less that of this server", most=0.5),
        Figure("searcher_cpu_ms", searcher, "processor time of the searcher's process a search, samples included"),
        Figure("relay_cpu_ms", relayed, "the same of the bare server's process"),
        Figure("searcher_cpu_over_relay", searcher / relayed, "their ratio", most=2.0),
    ]


async def _recall(site: Site, queries: Queries, truth: Truth) -> list[Figure]:
    """Of 10, 100 and 1,000 hits."""
    figures = []
    for limit in (10, 100, 1000):
        requests = queries.requests(limit)[: None if limit == 10 else _DEEP]
        seconds, answers = await answered(site, requests)
        exact = sum(answer.mode == wire.SEARCH_MODE_EXACT for answer in answers)
        on = f"{len(answers)} queries against brute force, {exact} of them answered exactly;"
        on += f" p50 {milliseconds(seconds):.2f} ms"
        figures.append(Figure(f"recall_at_{limit}", truth.mean_recall(answers, limit), on, least=0.99))
    return figures


async def _exact(site: Site, queries: Queries, truth: Truth) -> Figure:
    seconds, answers = await answered(site, queries.requests(exact=True)[:_EXACT])
    recall = truth.mean_recall(answers, 10)
    return Figure("exact_p50_ms", milliseconds(seconds), f"{len(answers)} searches; recall {recall:.3f}")


async def answered(site: Site, requests: Sequence[wire.SearchRequest]) -> tuple[list[float], list[wire.SearchResponse]]:
    """Seconds of each, and the answers."""
    answers: list[wire.SearchResponse] = []

    async def ask(request: wire.SearchRequest) -> None:
        answers.append(await site.stub.Search(request))

    return await timed(ask, requests), answers
