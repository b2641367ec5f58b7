"""How hosts are asked, and left alone: with a clock that a test turns."""

import asyncio
from datetime import UTC, datetime

import pytest

from lookalike.fetch import Failed, Settings, TransientFailure
from lookalike.fetch import host_limiter as module
from lookalike.fetch.host_limiter import Host, HostLimiter
from tests.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(0)


@pytest.fixture
def hosts(clock: Clock) -> HostLimiter:
    return HostLimiter(Settings(per_host=2, patience=1000), clock.monotonic)


async def fail(hosts: HostLimiter, times: int = 1, wait: float = 0) -> None:
    for _ in range(times):
        async with hosts.slot("shop") as host:
            host.failed(wait, "away")


async def succeed(hosts: HostLimiter) -> None:
    async with hosts.slot("shop") as host:
        host.succeeded("uri")


async def is_left_alone(hosts: HostLimiter) -> bool:
    try:
        async with hosts.slot("shop"):
            return False
    except TransientFailure as error:
        return not error.image_failed


async def test_a_few_failures_in_a_row_mean_that_the_host_is_down(hosts: HostLimiter, clock: Clock) -> None:
    await fail(hosts, 2)
    await succeed(hosts)
    await fail(hosts, 2)
    assert not await is_left_alone(hosts)
    await fail(hosts)
    assert await is_left_alone(hosts)
    assert 0 < hosts.seconds_until_up() <= 1
    clock.now += hosts.seconds_until_up()
    assert hosts.seconds_until_up() == 0
    assert not await is_left_alone(hosts)


async def test_it_is_left_alone_for_longer_each_time_up_to_a_minute(hosts: HostLimiter, clock: Clock) -> None:
    await fail(hosts, 2)
    pauses = []
    for _ in range(12):
        await fail(hosts)
        pauses.append(hosts.seconds_until_up())
        clock.now += pauses[-1]
    assert pauses[0] <= 1
    assert all(later > sooner for sooner, later in zip(pauses[:6:2], pauses[2:8:2], strict=True))
    assert 30 <= max(pauses) <= 60
    await succeed(hosts)
    await fail(hosts, 2)
    assert not await is_left_alone(hosts)


async def test_many_failures_at_once_are_one(hosts: HostLimiter, clock: Clock) -> None:
    """Those who had asked it already when it went down say nothing new."""
    async with hosts.slot("shop") as first, hosts.slot("shop") as second:
        for _ in range(10):
            first.failed(0)
            second.failed(0)
    assert hosts.seconds_until_up() <= 1
    clock.now += 1
    await fail(hosts)
    assert 1 <= hosts.seconds_until_up() <= 2


async def test_it_is_given_up_when_it_has_failed_for_as_long_as_it_may(hosts: HostLimiter, clock: Clock) -> None:
    await fail(hosts, 3)
    clock.now = 999
    await fail(hosts)
    clock.now = 1100
    await fail(hosts)
    clock.now = 5000
    with pytest.raises(Failed, match="has failed for 1000 s and is given up; last error: away") as caught:
        await fail(hosts)
    assert caught.value.reason == "HOST_UNAVAILABLE"


async def test_a_success_is_a_new_beginning(hosts: HostLimiter, clock: Clock) -> None:
    await fail(hosts, 3)
    clock.now = 999
    await succeed(hosts)
    await fail(hosts, 3)
    clock.now = 1998
    await fail(hosts)
    clock.now = 2500
    assert not await is_left_alone(hosts)


async def test_what_a_host_asks_for_holds_though_it_still_answers_others(hosts: HostLimiter, clock: Clock) -> None:
    async with hosts.slot("shop") as under_way:
        await fail(hosts, wait=50)
        under_way.succeeded("uri")
    assert await is_left_alone(hosts)
    clock.now = 50
    assert not await is_left_alone(hosts)


async def test_those_who_waited_for_a_host_that_went_down_do_not_ask_it(hosts: HostLimiter) -> None:
    async def ask() -> None:
        async with hosts.slot("shop") as host:
            await asyncio.sleep(0)
            host.failed(60)

    results = await asyncio.gather(*(ask() for _ in range(10)), return_exceptions=True)
    assert results[:2] == [None, None]
    assert all(isinstance(result, TransientFailure) and not result.image_failed for result in results[2:])


async def test_one_host_does_not_stand_for_another(hosts: HostLimiter) -> None:
    await fail(hosts, 3)
    async with hosts.slot("other") as other:
        assert isinstance(other, Host)
    assert await is_left_alone(hosts)


async def test_of_many_hosts_those_are_remembered_that_matter(
    hosts: HostLimiter, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_IDLE", 10)
    await fail(hosts, 3)
    async with hosts.slot("busy") as busy:
        for number in range(100):
            async with hosts.slot(str(number)):
                pass
        async with hosts.slot("busy") as again:
            assert again is busy
    assert await is_left_alone(hosts)
    assert len(hosts._hosts) <= 12


async def fail_to_resolve(hosts: HostLimiter, clock: Clock) -> None:
    async with hosts.slot("shop") as host:
        host.failed(0, "https://shop/1.jpg: the host shop is not found", "HOST_NOT_FOUND")
    clock.now += hosts.seconds_until_up()


async def test_a_name_that_does_not_resolve_is_given_up_after_a_few_tries(hosts: HostLimiter, clock: Clock) -> None:
    with pytest.raises(Failed, match="the host shop is not found") as caught:
        for _ in range(20):
            await fail_to_resolve(hosts, clock)
    assert caught.value.reason == "HOST_NOT_FOUND"
    assert 5 < clock.now < 60
    assert hosts.seconds_until_up() == 0
    assert hosts.waiting() == []


async def test_a_name_that_did_resolve_before_has_the_patience_of_any_host(hosts: HostLimiter, clock: Clock) -> None:
    await succeed(hosts)
    for _ in range(20):
        await fail_to_resolve(hosts, clock)
    assert clock.now > 100


async def test_the_one_that_is_waited_for_is_named_and_why_and_until_when(hosts: HostLimiter) -> None:
    await fail(hosts, 1, wait=60)
    [waiting] = hosts.waiting()
    assert (waiting.host, waiting.why) == ("shop", "away")
    assert 0 < (waiting.until - datetime.now(UTC)).total_seconds() <= 60
    with pytest.raises(TransientFailure, match="paused for now; last error: away"):
        async with hosts.slot("shop"):
            pass


async def refuse(hosts: HostLimiter, uri: str, *, others_served: bool) -> bool:
    """Whether the image is to blame."""
    error = TransientFailure("busy", reason="HTTP_429", wait=5)
    async with hosts.slot("shop") as host:
        await host.record_failure(error, uri, lambda _: asyncio.sleep(0, others_served))
    return error.image_failed


async def test_one_image_that_is_refused_again_is_to_blame_if_its_host_serves_others(
    hosts: HostLimiter, clock: Clock
) -> None:
    """The first time, the host is believed to limit all requests; as long as it serves nothing, too."""
    await succeed(hosts)
    assert not await refuse(hosts, "1.jpg", others_served=True)
    clock.now += 5
    assert not await refuse(hosts, "1.jpg", others_served=False)
    clock.now += 5
    assert not await refuse(hosts, "2.jpg", others_served=True)
    clock.now += 5
    assert await refuse(hosts, "1.jpg", others_served=True)
    assert not await is_left_alone(hosts)
