"""Run indexing from beginning to end."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from lookalike._operations import projects
from lookalike._transport.call import Call
from lookalike.errors import LookalikeError
from lookalike.fetch import Fetcher, Settings
from lookalike.indexing.calls import Calls
from lookalike.indexing.job import Watch
from lookalike.indexing.pipeline import Items, Pipeline
from lookalike.records import Outcome


async def index(
    call: Call,
    project_name: str,
    items: Items,
    *,
    settings: Settings,
    watch: Watch,
    embed_streams: int,
) -> AsyncGenerator[Outcome, None]:
    """Fetch, embed and store items; yield an outcome for each. Raises LookalikeError."""
    async with (
        run_calls(call, project_name, embed_streams, refingerprint=settings.reread) as calls,
        Fetcher(settings) as fetcher,
        aclosing(Pipeline(calls, fetcher, watch).outcomes(items)) as outcomes,
    ):
        async for outcome in outcomes:
            yield outcome


@asynccontextmanager
async def run_calls(
    call: Call, project_name: str, embed_streams: int, *, refingerprint: bool = False
) -> AsyncIterator[Calls]:
    """Yield the calls of a run on the project; its errors bear the run's id."""
    try:
        project = await projects.get(call, project_name)  # says at once what is wrong, or that nobody is there
        space = await projects.space_to_fill(call, project)
        yield Calls(call, project, space, embed_streams, refingerprint)
    except LookalikeError as error:
        error.request_id = error.request_id or call.request_id
        raise
