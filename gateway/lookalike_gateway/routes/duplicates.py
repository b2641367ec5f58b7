"""Find duplicates: some clusters at a time, or all of them as a stream."""

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from lookalike.errors import LookalikeError
from lookalike.records import DuplicateCluster, DuplicateProgress
from lookalike_gateway import problems, respond
from lookalike_gateway.parameter import Given
from lookalike_gateway.state import Face, face_of


class _EnoughError(Exception):
    """The time is up."""


async def page(request: Request, given: Given) -> Response:
    """Return at most so many clusters, after at most so many seconds or little more: it always comes some way."""
    face, ends = face_of(request), time.monotonic() + given["max_seconds"]
    clusters: list[DuplicateCluster] = []
    last: list[DuplicateProgress] = []

    def note(progress: DuplicateProgress) -> None:
        if last and time.monotonic() > ends:
            raise _EnoughError
        last[:] = [progress]

    complete = False
    try:
        async with aclosing(_found(face, given, note)) as found:
            async for cluster in found:
                clusters.append(cluster)
                if len(clusters) == given["limit"]:
                    break
            else:
                complete = True
    except _EnoughError:
        pass
    return JSONResponse(
        {
            "clusters": [respond.cluster(cluster, given["project"], face.thumbnails) for cluster in clusters],
            "complete": complete,
            "progress": respond.progress(last[0]) if last else None,
        }
    )


async def stream(request: Request, given: Given) -> Response:
    """Send all clusters, a line of JSON each, as they are found. The status says what is wrong at the beginning."""
    face = face_of(request)
    found = _found(face, given, None)
    first = await anext(found, None)
    return StreamingResponse(_lines(face, given["project"], first, found), media_type="application/x-ndjson")


async def _lines(
    face: Face, project: str, first: DuplicateCluster | None, rest: AsyncGenerator[DuplicateCluster, None]
) -> AsyncIterator[str]:
    try:
        async with aclosing(rest):
            if first:
                yield _line(face, project, first)
            async for cluster in rest:
                yield _line(face, project, cluster)
    except LookalikeError as error:  # the status has gone out
        yield json.dumps({"problem": problems.of_library(error)}) + "\n"


def _line(face: Face, project: str, cluster: DuplicateCluster) -> str:
    found = {
        "cluster": respond.cluster(cluster, project, face.thumbnails),
        "progress": respond.progress(cluster.progress),
    }
    return json.dumps(found) + "\n"


def _found(
    face: Face, given: Given, note: Callable[[DuplicateProgress], object] | None
) -> AsyncGenerator[DuplicateCluster, None]:
    return face.client.find_duplicates(
        given["project"],
        min_similarity=given["min_similarity"],
        same_file_only=given["same_file_only"],
        resume_token=given["resume_token"] or "",
        on_progress=note,
    )
