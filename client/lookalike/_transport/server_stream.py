"""Streams of answers that go on where they were when the connection is lost: each answer says where that is."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from lookalike._transport.call import Call
from lookalike._transport.channel import SEARCHER
from lookalike._transport.retry import Backoff, is_transient
from lookalike.errors import LookalikeError

if TYPE_CHECKING:
    import grpc

_SILENCE_SECONDS: Final = 60.0
"""How long the searcher may say nothing: it compares millions of images, and searches take turns. A connection that is
lost is noticed much sooner."""


class _ResumableRequest(Protocol):
    project: str
    resume_token: str


class _ResumableAnswer(Protocol):
    @property
    def resume_token(self) -> str: ...


Request = TypeVar("Request", bound=_ResumableRequest)
Answer = TypeVar("Answer", bound=_ResumableAnswer)


async def answers(
    call: Call,
    method: "grpc.aio.UnaryStreamMultiCallable[Request, Answer]",
    request: Request,
) -> AsyncGenerator[Answer, None]:
    """Yield the answers, also over several connections; `request` bears the last one's resume token.

    Raises:
        LookalikeError: the stream cannot go on, or has not come any further for a minute.
    """
    silence = max(call.timeout, _SILENCE_SECONDS)
    backoff = Backoff()
    while True:
        one_call = call.listen(SEARCHER, method, request, silence=silence)
        try:
            async with aclosing(one_call):
                async for answer in one_call:
                    if answer.resume_token != request.resume_token:
                        backoff.progress()
                        request.resume_token = answer.resume_token
                    yield answer
        except LookalikeError as error:
            if not is_transient(error):
                raise
            await backoff.wait(error)
        else:
            return
