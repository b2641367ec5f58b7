"""Our searches beside those of each peer, by turns, at the least depth with which it finds as much."""

import importlib.util
import statistics
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from tests.bench.concurrent_clients import CLIENTS, closed_loops, searching
from tests.bench.depth import Depth, least_for
from tests.bench.figures import Figure
from tests.bench.ground_truth import Truth
from tests.bench.interleaving import ratio, take_turns
from tests.bench.latency import by_turns, milliseconds
from tests.bench.peers import chroma, lance, milvus, qdrant
from tests.bench.peers.peer import Peer
from tests.bench.searcher_process import Site
from tests.bench.searches import Queries, answered

_PEERS: Final = {"chroma": chroma, "milvus_lite": milvus, "lancedb": lance, "qdrant_edge": qdrant}
PEERS: Final = tuple(_PEERS)
_RECALL: Final = 0.99
_NEARLY: Final = 0.002
"""A peer may miss so much more than we do."""
_ROUNDS, _TURN = 10, 40
_CLIENT_ROUNDS: Final = 2


@dataclass(frozen=True)
class Compared:
    """A peer beside us.

    Attributes:
        name, how, build_seconds: the peer.
        found: its depth and its recall at 10.
        p50, qps: its milliseconds a search, and its searches a second with eight clients.
        p50_ratio, qps_ratio: ours over its.
    """

    name: str
    how: str
    build_seconds: float
    found: Depth
    p50: float
    qps: float
    p50_ratio: float
    qps_ratio: float


async def measure(site: Site, queries: Queries, truth: Truth, folder: Path, names: list[str]) -> list[Figure]:
    """One peer after the other; figures of the best of those whose recall is good."""
    ours = truth.mean_recall((await answered(site, queries.requests()))[1], 10)
    figures, compared = [], []
    for name in names:
        module = _PEERS[name]
        if importlib.util.find_spec(module.MODULE) is None:
            figures.append(Figure(f"peer_p50_ms.{name}", None, f"left out, as {module.MODULE} is not installed"))
            continue
        async with module.peer(folder / name, queries, site.log) as peer:
            compared.append(await _compare(name, peer, site, queries, truth, max(_RECALL, ours - _NEARLY)))
        print(f"{name}: done", flush=True)
    return [*_best([one for one in compared if one.found.recall >= _RECALL], ours), *figures, *_each(compared)]


async def _compare(name: str, peer: Peer, site: Site, queries: Queries, truth: Truth, target: float) -> Compared:
    count, requests = len(queries.vectors), queries.requests()
    async with AsyncExitStack() as stack:
        theirs = [await stack.enter_async_context(peer.connect()) for _ in range(CLIENTS)]
        ours = await searching(stack, site.address, queries)

        async def recall_at(depth: int) -> float:
            await peer.set_depth(depth)
            return float(np.mean([truth.share(query, await theirs[0](query)) for query in range(count)]))

        found = await least_for(target, recall_at)
        await peer.set_depth(found.depth)
        one = {"ours": lambda query: site.stub.Search(requests[query]), "theirs": theirs[0]}
        seconds = await by_turns(one, count, rounds=_ROUNDS, turn=_TURN)
        many = {"ours": lambda: closed_loops(ours, count), "theirs": lambda: closed_loops(theirs, count)}
        paces = await take_turns(many, _CLIENT_ROUNDS)
    p50 = milliseconds(seconds["theirs"])
    return Compared(
        name,
        peer.how,
        peer.build_seconds,
        found,
        p50,
        statistics.median(paces["theirs"]),
        milliseconds(seconds["ours"]) / p50,
        ratio(paces, "ours", "theirs"),
    )


def _best(good: list[Compared], ours: float) -> list[Figure]:
    """Ours over the best peer's: each peer's turns were beside turns of ours."""
    if not good:
        return [
            Figure(name, None, "no peer reached the recall") for name in ("p50_over_best_peer", "qps_over_best_peer")
        ]
    quickest, busiest = max(good, key=lambda one: one.p50_ratio), min(good, key=lambda one: one.qps_ratio)
    on = "{0.name}: recall@10 {0.found.recall:.4f}; ours {1:.4f}; peers with less than .99 do not count"
    return [
        Figure("p50_over_best_peer", quickest.p50_ratio, on.format(quickest, ours), most=1.0),
        Figure("qps_over_best_peer", busiest.qps_ratio, on.format(busiest, ours), least=1.0),
    ]


def _each(compared: list[Compared]) -> list[Figure]:
    figures = []
    for one in compared:
        figures += [
            Figure(f"peer_p50_ms.{one.name}", one.p50, f"{one.how}; ours by turns {one.p50 * one.p50_ratio:.2f} ms"),
            Figure(f"peer_qps_8_clients.{one.name}", one.qps, f"ours by turns {one.qps * one.qps_ratio:,.0f}"),
            Figure(f"p50_over_peer.{one.name}", one.p50_ratio, "ours over its"),
            Figure(f"qps_over_peer.{one.name}", one.qps_ratio, "the same"),
            Figure(f"peer_recall_at_10.{one.name}", one.found.recall, f"at the least depth for it, {one.found.depth}"),
            Figure(f"peer_build_seconds.{one.name}", one.build_seconds, "to store and index all"),
        ]
    return figures
