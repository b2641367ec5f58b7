"""What one call of the library does with what its server answers: again, or not, and for how long."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from lookalike import LookalikeError, NotFoundError, OverloadedError, QuotaExceededError, UnavailableError
from lookalike._transport import call, retry
from lookalike._transport.call import Call
from lookalike._transport.channel import SEARCHER
from lookalike._transport.servers import Servers
from lookalike.credentials import Credentials
from lookalike_searcher.errors import STATUS, NotFound, Overloaded
from lookalike_searcher.quota import QuotaExceeded
from lookalike_serving.errors import DomainError
from tests.clock import Clock

NOT_SERVING = grpc.aio.AioRpcError(
    grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "1.2.3.4:50052: backend unhealthy"
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module, name in ((retry, "time"), (retry, "asyncio"), (call, "time")):
        monkeypatch.setattr(module, name, clock)
    return clock


@dataclass
class Server:
    """Answers with the outcomes in turn, and the last one again and again; notes the timeouts of the attempts."""

    servers: Servers
    timeouts: list[float] = field(default_factory=list)

    async def ask(self, *outcomes: Exception | str) -> Any:  # noqa: ANN401 - the last outcome
        left = list(outcomes)

        async def method(_: object, *, timeout: float, metadata: grpc.aio.Metadata) -> str:
            self.timeouts.append(timeout)
            outcome = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        self.timeouts.clear()
        asked: Any = method
        return await Call(self.servers).ask(SEARCHER, asked, None)


def server(timeout: float) -> Server:
    return Server(Servers("", "localhost:1", timeout, Credentials()))


def refused(error: DomainError) -> grpc.aio.AioRpcError:
    status = rpc_status.to_status(STATUS.status(error))
    return grpc.aio.AioRpcError(
        status.code, grpc.aio.Metadata(), grpc.aio.Metadata(*status.trailing_metadata), status.details
    )


def busy(seconds: float) -> grpc.aio.AioRpcError:
    return refused(Overloaded(9, seconds, seconds))


async def test_all_attempts_of_a_call_share_its_timeout(clock: Clock) -> None:
    asked = server(10)
    assert await asked.ask(busy(2), busy(3), "answer") == "answer"
    assert asked.timeouts == [10, 8, 5]
    with pytest.raises(OverloadedError, match=r"overloaded.*; 2 attempts in 6\.0 s$"):
        await asked.ask(busy(6), busy(6), "answer")
    began = clock.now
    with pytest.raises(UnavailableError, match=r"says that it does not serve; \d+ attempts in \d+\.\d s$"):
        await asked.ask(NOT_SERVING)
    assert clock.now < began + 10


@pytest.mark.usefixtures("clock")
async def test_who_exceeds_a_quota_is_told_at_once_though_it_is_known_when_to_return() -> None:
    asked = server(10)
    with pytest.raises(QuotaExceededError) as caught:
        await asked.ask(refused(QuotaExceeded.searches("shop", 1, 0.5)), "answer")
    assert caught.value.retry_after == 0.5
    assert len(asked.timeouts) == 1


@pytest.mark.parametrize("answer", ["answer", refused(NotFound.project("shop")), busy(3600)])
async def test_an_outage_ends_when_the_server_answers_whatever_it_says(clock: Clock, answer: Exception | str) -> None:
    asked = server(60)
    for seconds in (0, 25, 6):  # more than half a minute in all
        clock.now += seconds
        with suppress(NotFoundError, OverloadedError):
            await asked.ask(NOT_SERVING, answer)
        assert len(asked.timeouts) == 2


async def test_an_outage_is_one_for_all_calls_to_a_server(clock: Clock) -> None:
    asked, began = server(60), clock.now
    with pytest.raises(UnavailableError):
        await asked.ask(NOT_SERVING)
    assert 27 < clock.now - began <= 30
    clock.now = began + 30
    with pytest.raises(UnavailableError, match="; 1 attempts in"):
        await asked.ask(NOT_SERVING)


@pytest.mark.usefixtures("clock")
async def test_calls_that_succeed_pay_for_one_that_is_made_again() -> None:
    asked = server(60)
    for _ in range(2):
        with pytest.raises(LookalikeError):
            await asked.ask(busy(0.01))
    assert len(asked.timeouts) == 1  # the budget is spent
    for _ in range(11):
        await asked.ask("answer")
    assert await asked.ask(busy(0.01), "answer") == "answer"
