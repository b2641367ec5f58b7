"""How the searches of one batch are made: a few at once, each failing alone."""

import asyncio
from typing import Any, cast

import pytest

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.quota import QuotaExceeded
from lookalike_searcher.rpc.search_handler import Searching


async def test_four_searches_of_a_batch_are_made_at_once_and_one_that_is_refused_is_counted_by_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running, most, asked = 0, 0, list[tuple[str, int]]()

    async def answer(_: Searching, request: wire.SearchRequest, batch: int) -> wire.SearchResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        asked.append((request.project, batch))
        await asyncio.sleep(0)
        running -= 1
        if request.project == "busy":
            raise QuotaExceeded.busy("busy", 9, 0.5, 0.75)
        return wire.SearchResponse(search_id=request.uri)

    monkeypatch.setattr(Searching, "answer", answer)
    metrics, none = Metrics(), cast("Any", None)
    searching = Searching(none, none, none, none, metrics, 0, 0, none)
    requests = [wire.SearchRequest(project="shop", uri=str(number)) for number in range(9)]
    results = await searching.answer_all([*requests, wire.SearchRequest(project="busy")])
    assert most == 4
    assert set(asked) == {("shop", 9), ("busy", 1)}
    assert [result.response.search_id for result in results[:-1]] == [request.uri for request in requests]
    assert (results[-1].error.reason, results[-1].error.metadata["retry_seconds"]) == ("PROJECT_BUSY", "0.750")
    assert metrics.registry.get_sample_value("lookalike_searcher_refused_total", {"reason": "PROJECT_BUSY"}) == 1
