"""The vectors of a project, read block by block."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from lookalike import convert, listening, message
from lookalike.records import ImageVector
from lookalike.servers import Servers
from lookalike.v1 import searcher_pb2 as wire


async def read(
    servers: Servers, project: str, space: str, fraction: float, request_id: str
) -> AsyncGenerator[ImageVector, None]:
    """Yield the vectors, also over several connections."""
    with message.sendable():
        request = wire.ExportVectorsRequest(project=project, space=space, fraction=fraction)
    async with aclosing(listening.answers(servers, servers.searcher.ExportVectors, request, request_id)) as answers:
        async for answer in answers:
            for vector in answer.vectors:
                yield convert.image_vector(vector)
