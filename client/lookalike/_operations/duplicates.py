"""A search for the duplicates of a whole project, which goes on where it was when the connection is lost."""

from collections.abc import AsyncGenerator

from lookalike._operations import encode
from lookalike._transport import server_stream
from lookalike._transport.servers import Servers
from lookalike.v1 import searcher_pb2 as wire


def request(
    project: str, min_similarity: float | None, resume_token: str, *, same_file_only: bool
) -> wire.FindDuplicatesRequest:
    """What is asked for. Raises InvalidRequestError."""
    with encode.sendable():
        return wire.FindDuplicatesRequest(
            project=project, min_similarity=min_similarity, same_file_only=same_file_only, resume_token=resume_token
        )


def answers(
    servers: Servers, request: wire.FindDuplicatesRequest, request_id: str
) -> AsyncGenerator[wire.FindDuplicatesResponse, None]:
    """Yield the answers; see `listening`."""
    return server_stream.answers(servers, servers.searcher.FindDuplicates, request, request_id)
