"""Find duplicates: some clusters at a time, or all of them as a stream."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from lookalike.errors import LookalikeError
from lookalike.records import DuplicateCluster, DuplicateProgress, KeepRule
from lookalike_gateway import openapi, problems
from lookalike_gateway.auth import Permission
from lookalike_gateway.models.duplicates import Cluster, DuplicateLine, DuplicatePage, Progress
from lookalike_gateway.parameters import GIVEN_ONCE, Duplicates, Project, SomeDuplicates
from lookalike_gateway.state import GatewayState, State

router = APIRouter(
    prefix="/v1/projects/{project}",
    dependencies=[Depends(Permission("FindDuplicates")), GIVEN_ONCE],
    responses=openapi.COMMON | openapi.refusals(404),
)


class _EnoughError(Exception):
    """The time for one request is up; what was found is the answer."""


@router.get(
    "/duplicates",
    operation_id="findDuplicates",
    summary="Find duplicates, some at a time",
    description="Go on with `progress.resumeToken` until `complete`.",
)
async def page(project: Project, query: Annotated[SomeDuplicates, Query()], state: GatewayState) -> DuplicatePage:
    """Return at most so many clusters, after at most so many seconds or little more: it always comes some way."""
    ends, context = time.monotonic() + query.max_seconds, state.thumbnails.url(project)
    clusters: list[Cluster] = []
    last: list[DuplicateProgress] = []

    def note(progress: DuplicateProgress) -> None:
        if last and time.monotonic() > ends:
            raise _EnoughError
        last[:] = [progress]

    complete = False
    try:
        async with aclosing(_find(state, project, query, note)) as cluster_stream:
            async for cluster in cluster_stream:
                clusters.append(Cluster.model_validate(cluster, context=context))
                if len(clusters) == query.limit:
                    break
            else:
                complete = True
    except _EnoughError:
        pass
    progress = Progress.model_validate(last[0]) if last else None
    return DuplicatePage(clusters=clusters, complete=complete, progress=progress)


@router.get(
    "/duplicates.ndjson",
    operation_id="streamDuplicates",
    summary="Find all duplicates, as a stream",
    description="A line of JSON for each cluster, with `cluster` and `progress`;"
    " a failure on the way is last, as `problem`.",
    response_class=StreamingResponse,
    responses=openapi.gives("application/x-ndjson"),
)
async def stream(project: Project, query: Annotated[Duplicates, Query()], state: GatewayState) -> StreamingResponse:
    """Send all clusters, a line of JSON each, as they are found. The status says what is wrong at the beginning."""
    clusters = _find(state, project, query, None)
    first = await anext(clusters, None)
    return StreamingResponse(_lines(state, project, first, clusters), media_type="application/x-ndjson")


async def _lines(
    state: State, project_name: str, first: DuplicateCluster | None, rest: AsyncGenerator[DuplicateCluster, None]
) -> AsyncIterator[str]:
    def line(cluster: DuplicateCluster) -> str:
        shown = Cluster.model_validate(cluster, context=context)
        progress = Progress.model_validate(cluster.progress)
        return DuplicateLine(cluster=shown, progress=progress).model_dump_json() + "\n"

    context = state.thumbnails.url(project_name)
    try:
        async with aclosing(rest):
            if first:
                yield line(first)
            async for cluster in rest:
                yield line(cluster)
    except LookalikeError as error:  # the status has gone out
        yield f'{{"problem":{problems.of_library(error).model_dump_json()}}}\n'


def _find(
    state: State, project_name: str, query: Duplicates, note: Callable[[DuplicateProgress], object] | None
) -> AsyncGenerator[DuplicateCluster, None]:
    return state.client.find_duplicates(
        project_name,
        min_similarity=query.min_similarity,
        same_file_only=query.same_file_only,
        verify=query.verify,
        filter=query.filter(),
        other=query.other(),
        rest=query.rest,
        across_products=query.across_products,
        newer_than=query.newer_than,
        keep=KeepRule(query.keep),
        recoloured=query.recoloured,
        resume_token=query.resume_token,
        on_progress=note,
    )
