"""Handle Search and SearchBatch: admit, rank, measure, verify, answer."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.errors import STATUS, FailedPrecondition
from lookalike_searcher.feedback.impressions import Impressions
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects.project import Limits, Project
from lookalike_searcher.rpc import page_token, parse, respond
from lookalike_searcher.search import rank, search_id, views
from lookalike_searcher.search.limits import Rates
from lookalike_searcher.search.read_routing import Reads
from lookalike_searcher.search.recall import Recall
from lookalike_searcher.search.types import Ranking, Search
from lookalike_searcher.search.verification import Proofs, Verifier
from lookalike_serving.errors import DomainError

_AT_ONCE: Final = 4
"""So many searches of one batch run at once."""


class Searching:
    """The handler answers searches, one or several at once.

    Args:
        reads: chooses the replica or the primary.
        rates: admits searches by their project's limits.
        recall: takes samples of approximate searches.
        impressions: counts answered searches.
        metrics: measures searches.
        slow_seconds: a search that takes so long is logged with its plan.
        exact_threshold: a project with so many images should have an index.
        verifier: compares hits with the query where that is asked for.
    """

    def __init__(
        self,
        reads: Reads,
        rates: Rates,
        recall: Recall,
        impressions: Impressions,
        metrics: Metrics,
        slow_seconds: float,
        exact_threshold: int,
        verifier: Verifier,
    ) -> None:
        self._reads = reads
        self._rates = rates
        self._recall = recall
        self._impressions = impressions
        self._metrics = metrics
        self._slow_seconds = slow_seconds
        self._exact_threshold = exact_threshold
        self._verifier = verifier

    async def answer(self, request: wire.SearchRequest, batch: int = 1) -> wire.SearchResponse:
        """Answer a search; `batch` is how many its batch has of the project. Raises the errors of `rank.rank`."""
        self._reads.check_room(request.project)
        search, request_digest = parse.search(request)
        started = time.perf_counter()

        admitted_by: Limits | None = None

        def admit(project: Project) -> None:
            nonlocal admitted_by
            if project.search_disabled:
                raise FailedPrecondition.search_disabled(project.name)
            if admitted_by != project.limits:  # the replica may have admitted it, and then failed
                self._rates.admit(project, search.limit, batch)
            admitted_by = project.limits

        ranked = views.widened(search)
        ranking = await self._reads.ask(
            lambda database: rank.rank(
                database,
                ranked,
                admit=admit,
                slow_seconds=self._slow_seconds,
                exact_threshold=self._exact_threshold,
            )
        )
        mode = "exact" if ranking.reason.exact else "approximate"
        self._metrics.searched(
            search.project_name, mode, ranking.reason.value, time.perf_counter() - started, ranking.images_ranked
        )
        self._recall.offer(ranked, ranking)
        issued_id = search.search_id or search_id.issue(ranking.project_id)
        if search.after is None:
            self._impressions.count(ranking.project_id)
        proofs: Proofs = {}
        if search.views:
            ranking, proofs = await self._thorough(search, ranking)
        elif search.verify:
            proofs = await self._verifier.proofs(search, ranking, self._reads)
        more = page_token.encode(request_digest, *ranking.last, issued_id) if ranking.last else ""
        return respond.ranking(ranking, more, issued_id, proofs)

    async def _thorough(self, search: Search, ranking: Ranking) -> tuple[Ranking, Proofs]:
        """Return the page of the ranking, with copies that are not on it in place, and what is proven of all."""
        found = await self._reads.ask(lambda database: views.candidates(database, search, ranking))
        page = ranking.hits[: search.limit]
        first = ranking._replace(hits=[*page[: search.verify], *found])
        proofs = await self._verifier.proofs(search._replace(verify=len(first.hits)), first, self._reads)
        return views.with_proven(ranking._replace(hits=page), found, proofs, search.limit), proofs

    async def answer_all(self, requests: Sequence[wire.SearchRequest]) -> list[wire.SearchResult]:
        """Answer several searches, in their order. A search that fails does not fail the others."""
        of_project = Counter(request.project for request in requests)
        places = asyncio.Semaphore(_AT_ONCE)

        async def result(request: wire.SearchRequest) -> wire.SearchResult:
            async with places:
                try:
                    return wire.SearchResult(response=await self.answer(request, of_project[request.project]))
                except DomainError as error:
                    self._metrics.refused.labels(error.reason).inc()
                    return wire.SearchResult(error=STATUS.item_error(error))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(result(request)) for request in requests]
        return [task.result() for task in tasks]
