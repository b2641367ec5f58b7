"""A search for the duplicates of a whole project, which goes on where it was when the connection is lost."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from lookalike import message, registry
from lookalike.channel import SEARCHER
from lookalike.errors import LookalikeError
from lookalike.patience import Patience, may_pass
from lookalike.servers import Servers
from lookalike.v1 import searcher_pb2 as wire

_SILENCE_SECONDS: Final = 60.0
"""How long the searcher may say nothing: it compares millions of images, and searches take turns. A connection that is
lost is noticed much sooner."""


def request(
    project: str, min_similarity: float | None, resume_token: str, *, same_file_only: bool
) -> wire.FindDuplicatesRequest:
    """What is asked for. Raises InvalidRequestError."""
    with message.sendable():
        return wire.FindDuplicatesRequest(
            project=project, min_similarity=min_similarity, same_file_only=same_file_only, resume_token=resume_token
        )


async def answers(
    servers: Servers, request: wire.FindDuplicatesRequest, request_id: str
) -> AsyncGenerator[wire.FindDuplicatesResponse, None]:
    """Yield the answers, also over several connections; `request` bears the last one's resume token.

    Raises:
        LookalikeError: the search cannot go on, or has not come any further for a minute.
    """
    await registry.get(servers, request.project, request_id)  # says at once what is wrong, or that nobody is there
    silence = max(servers.timeout, _SILENCE_SECONDS)
    patience = Patience()
    while True:
        one_call = servers.listen(SEARCHER, servers.searcher.FindDuplicates, request, request_id, silence=silence)
        try:
            async with aclosing(one_call):
                async for answer in one_call:
                    if answer.resume_token != request.resume_token:
                        patience.progress()
                        request.resume_token = answer.resume_token
                    yield answer
        except LookalikeError as error:
            if not may_pass(error):
                raise
            await patience.wait(error)
        else:
            return
