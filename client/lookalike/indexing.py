"""A run of `Client.index`: the pipeline between these two servers, for this project."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing

from lookalike import catalogue, registry
from lookalike.errors import LookalikeError
from lookalike.patience import patiently
from lookalike.pipeline import Pipeline
from lookalike.records import Item, Outcome
from lookalike.servers import Servers, metadata


async def index(
    servers: Servers,
    project: str,
    items: Iterable[Item] | AsyncIterable[Item],
    embed_streams: int,
    request_id: str,
) -> AsyncGenerator[Outcome, None]:
    """Embed and store items; yield an outcome for each. Raises LookalikeError."""
    found = await registry.get(servers, project, request_id)  # says at once what is wrong, or that nobody is there
    space = await registry.space_to_fill(servers, found, request_id)
    pipeline = Pipeline(
        project,
        check=lambda sha256s: patiently(lambda: catalogue.check(servers, project, sha256s, space, request_id)),
        check_space=lambda embedded: registry.check_space(found, embedded),
        open_embed=lambda: servers.embedder.EmbedStream(metadata=metadata(request_id)),
        open_index=lambda: servers.searcher.IndexImages(metadata=metadata(request_id)),
        request_id=request_id,
        embed_streams=embed_streams,
        timeout=servers.timeout,
    )
    try:
        async with aclosing(pipeline.outcomes(items)) as outcomes:
            async for outcome in outcomes:
                yield outcome
    except LookalikeError as error:
        error.request_id = error.request_id or request_id
        raise
