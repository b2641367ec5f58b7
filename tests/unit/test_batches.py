"""Batches of what arrives one by one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from lookalike._concurrency.batches import batched, prefetched


async def numbers(count: int) -> AsyncGenerator[int, None]:
    for number in range(count):
        yield number


async def test_everything_arrives_once_in_order_in_lists_no_longer_than_asked() -> None:
    batches = [batch async for batch in batched(numbers(10), 4)]
    assert [number for batch in batches for number in batch] == list(range(10))
    assert max(len(batch) for batch in batches) <= 4


async def test_nothing_gives_nothing() -> None:
    assert [batch async for batch in batched(numbers(0), 4)] == []


async def test_a_list_fills_while_the_consumer_is_busy() -> None:
    ready = asyncio.Event()

    async def source() -> AsyncGenerator[int, None]:
        yield 0
        await ready.wait()
        for number in range(1, 5):
            yield number

    batches = []
    async for batch in batched(source(), 10):
        batches.append(batch)
        ready.set()
        for _ in range(10):
            await asyncio.sleep(0)
    assert batches == [[0], [1, 2, 3, 4]]


async def test_lingering_ends_with_the_source_not_with_the_clock() -> None:
    """A linger of an hour does not keep a source that has ended waiting."""
    async with asyncio.timeout(120):
        assert [batch async for batch in batched(numbers(3), 10, linger=3600)] == [[0, 1, 2]]


async def test_lingering_ends_when_the_list_is_full() -> None:
    never = asyncio.Event()

    async def source() -> AsyncGenerator[int, None]:
        for number in range(2):
            yield number
        await never.wait()

    async with asyncio.timeout(120):
        batches = batched(source(), 2, linger=3600)
        assert await anext(batches) == [0, 1]
        await batches.aclose()


async def test_a_failure_of_the_source_comes_after_what_was_before_it() -> None:
    async def source() -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("broken")

    seen = []
    with pytest.raises(ValueError, match="broken"):
        async for batch in batched(source(), 4):
            seen += batch
    assert seen == [1]


async def test_a_source_that_was_cancelled_from_elsewhere_is_a_failure_and_no_hang() -> None:
    async def source() -> AsyncGenerator[int, None]:
        yield 1
        raise asyncio.CancelledError

    async with asyncio.timeout(120):
        with pytest.raises(RuntimeError, match="cancelled"):
            async for _ in batched(source(), 4):
                pass


async def test_the_next_item_is_made_while_the_consumer_is_busy_and_its_failure_comes_in_its_turn() -> None:
    made: list[int] = []

    async def source() -> AsyncGenerator[int, None]:
        for number in range(3):
            made.append(number)
            yield number
        raise ValueError("source")

    taken = []
    with pytest.raises(ValueError, match="source"):
        async for number in prefetched(source()):
            for _ in range(5):
                await asyncio.sleep(0)  # busy
            assert made == list(range(min(number + 2, 3)))
            taken.append(number)
    assert taken == [0, 1, 2]


async def test_a_consumer_that_leaves_closes_the_source() -> None:
    closed = asyncio.Event()

    async def source() -> AsyncGenerator[int, None]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    async with aclosing(prefetched(source())) as items:
        assert await anext(items) == 1
    assert closed.is_set()


async def test_heavy_items_count_for_several_and_no_more_is_read_ahead() -> None:
    read: list[int] = []

    async def source() -> AsyncGenerator[int, None]:
        for number in range(8):
            read.append(number)
            yield number

    async with aclosing(batched(source(), 4, linger=1, weight=lambda _: 3)) as batches:
        assert await anext(batches) == [0, 1]
        await asyncio.sleep(0)
        assert len(read) <= 4  # one waits, another for its turn
        assert [number async for batch in batches for number in batch] == list(range(2, 8))
