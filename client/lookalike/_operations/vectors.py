"""The vectors of a project, read block by block."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from lookalike._operations import decode, encode, projects
from lookalike._transport import server_stream
from lookalike._transport.servers import Servers
from lookalike.records import ImageVector
from lookalike.v1 import searcher_pb2 as wire


async def read(
    servers: Servers, project: str, space: str, fraction: float, request_id: str
) -> AsyncGenerator[ImageVector, None]:
    """Yield the vectors, also over several connections."""
    with encode.sendable():
        request = wire.ExportVectorsRequest(project=project, space=space, fraction=fraction)
    await projects.get(servers, project, request_id)  # says at once what is wrong, or that nobody is there
    async with aclosing(server_stream.answers(servers, servers.searcher.ExportVectors, request, request_id)) as answers:
        async for answer in answers:
            for vector in answer.vectors:
                yield decode.image_vector(vector)
