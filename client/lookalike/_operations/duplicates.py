"""Find the duplicates of a whole project; a search goes on where it was when the connection was lost."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from lookalike._operations import encode, projects
from lookalike._transport import server_stream
from lookalike._transport.call import Call
from lookalike.v1 import searcher_pb2 as wire


def request(
    project_name: str, min_similarity: float | None, resume_token: str, *, same_file_only: bool
) -> wire.FindDuplicatesRequest:
    """Return the request to send. Raises InvalidRequestError."""
    with encode.sendable():
        return wire.FindDuplicatesRequest(
            project=project_name,
            min_similarity=min_similarity,
            same_file_only=same_file_only,
            resume_token=resume_token,
        )


async def answers(call: Call, request: wire.FindDuplicatesRequest) -> AsyncGenerator[wire.FindDuplicatesResponse, None]:
    """Yield the answers, also over several connections; see `server_stream`."""
    await projects.get(call, request.project)  # says at once what is wrong, or that nobody is there
    answers = server_stream.answers(call, call.searcher.FindDuplicates, request)
    async with aclosing(answers):
        async for answer in answers:
            yield answer
