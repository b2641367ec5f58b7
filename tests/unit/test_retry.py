"""When the client tries again what was refused or failed, how long it waits before, and when it gives up."""

import random
from types import SimpleNamespace

import grpc
import pytest

from lookalike import DeadlineExceededError, InvalidRequestError, LookalikeError, OverloadedError, UnavailableError
from lookalike._transport import retry
from lookalike._transport.retry import Backoff, Outage, RetryBudget
from tests.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Chance takes the longest wait."""
    clock = Clock()
    monkeypatch.setattr(retry, "time", clock)
    monkeypatch.setattr(retry, "asyncio", clock)
    monkeypatch.setattr(retry, "random", SimpleNamespace(uniform=lambda _, most: most))
    return clock


def refusal(seconds: float | None) -> OverloadedError:
    """What an overloaded server says, with the time after which to come back."""
    failure = OverloadedError("much to do")
    failure.retry_after = seconds
    return failure


def not_serving() -> LookalikeError:
    return UnavailableError("down", reason="NOT_SERVING")


async def test_the_more_has_failed_since_the_last_progress_the_longer_is_the_wait(clock: Clock) -> None:
    backoff, away = Backoff(), UnavailableError("away")
    for _ in range(6):
        await backoff.wait(away)
    backoff.progress()
    await backoff.wait(away)
    assert clock.slept == pytest.approx([0.2, 0.4, 0.8, 1.6, 3, 3, 0.2])


async def test_whoever_waits_comes_back_when_the_server_said_but_no_sooner_than_by_himself(clock: Clock) -> None:
    backoff = Backoff()
    for seconds in (2.5, 0.001, None):
        await backoff.wait(refusal(seconds))
    assert clock.slept == pytest.approx([2.5, 0.4, 0.8])


async def test_what_makes_no_progress_for_a_minute_is_given_up(clock: Clock) -> None:
    backoff, began = Backoff(), clock.now
    with pytest.raises(UnavailableError, match="away"):
        while True:
            await backoff.wait(UnavailableError("away"))
    assert 60 <= clock.now - began <= 63


async def test_clients_who_failed_together_come_back_at_different_times(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "random", random)
    for _ in range(20):
        await Backoff().wait(UnavailableError("away"))
    assert len(set(clock.slept)) == 20
    assert all(0.1 <= seconds <= 0.2 for seconds in clock.slept)


async def test_a_call_waits_longer_with_each_attempt_while_the_server_does_not_serve_up_to_its_own_timeout(
    clock: Clock,
) -> None:
    outage, began, attempts = Outage(), clock.now, 0
    with pytest.raises(UnavailableError, match=r"down; 5 attempts in 3\.0 s"):
        while True:
            attempts += 1
            await outage.wait(not_serving(), attempts, began, 5)
    assert clock.slept == pytest.approx([0.2, 0.4, 0.8, 1.6])


async def test_a_refused_call_is_made_again_only_within_its_timeout_and_says_how_often_it_was_made(
    clock: Clock,
) -> None:
    budget, began = RetryBudget(), clock.now
    await budget.wait(refusal(2), 1, began, 5)
    assert clock.slept == [2]
    with pytest.raises(OverloadedError, match=r"^much to do; 2 attempts in 2\.0 s$"):
        await budget.wait(refusal(3), 2, began, 5)
    for seconds in (5, None):
        with pytest.raises(OverloadedError, match=r"^much to do$"):  # once: that need not be said
            await budget.wait(refusal(seconds), 1, clock.now, 5)
    assert clock.slept == [2]


async def test_for_ten_calls_that_succeed_one_may_be_made_again_and_ten_at_first_and_at_most(clock: Clock) -> None:
    async def retries() -> int:
        made = 0
        while True:
            try:
                await budget.wait(refusal(0.01), 1, clock.now, 5)
            except OverloadedError:
                return made
            made += 1

    budget, found = RetryBudget(), list[int]()
    for succeeded in (0, 21, 1000):
        for _ in range(succeeded):
            budget.succeeded()
        found.append(await retries())
    assert found == [10, 2, 10]


async def test_what_would_fail_again_is_not_repeated(clock: Clock) -> None:
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        raise InvalidRequestError("no")

    with pytest.raises(InvalidRequestError):
        await retry.with_retries(call)
    assert (calls, clock.slept) == (1, [])


@pytest.mark.parametrize(
    ("failure", "is_transient"),
    [
        (refusal(0.5), True),
        (refusal(None), False),  # a quota, say
        (UnavailableError("away"), True),
        (DeadlineExceededError("late"), True),
        (UnavailableError("no authority that we believe", reason="TLS_FAILED"), False),
        (LookalikeError("reset", code=grpc.StatusCode.CANCELLED), True),  # by a proxy
        (LookalikeError("closed", reason="CLIENT_CLOSED", code=grpc.StatusCode.CANCELLED), False),
        (LookalikeError("invalid", code=grpc.StatusCode.INVALID_ARGUMENT), False),
    ],
)
def test_what_may_succeed_later_is_tried_again(failure: LookalikeError, *, is_transient: bool) -> None:
    assert retry.is_transient(failure) is is_transient
