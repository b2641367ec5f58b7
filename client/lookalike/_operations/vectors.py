"""Read the vectors of a project, block by block."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from lookalike._operations import decode, encode, projects
from lookalike._transport import server_stream
from lookalike._transport.call import Call
from lookalike.records import ImageVector
from lookalike.v1 import searcher_pb2 as wire


async def read(
    call: Call, project_name: str, space: str, fraction: float, label: str = ""
) -> AsyncGenerator[ImageVector, None]:
    """Yield the vectors, also over several connections."""
    with encode.sendable():
        request = wire.ExportVectorsRequest(project=project_name, space=space, fraction=fraction, label=label)
    await projects.get(call, project_name)  # says at once what is wrong, or that nobody is there
    async with aclosing(server_stream.answers(call, call.searcher.ExportVectors, request)) as answers:
        async for answer in answers:
            for vector in answer.vectors:
                yield decode.image_vector(vector)
