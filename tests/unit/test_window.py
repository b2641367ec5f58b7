"""How many requests a stream holds."""

import asyncio
from types import SimpleNamespace

import pytest

from lookalike._transport import window
from lookalike._transport.window import LEAST, Window
from lookalike.v1.embedder_pb2 import EmbedStreamRequest


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still unless a test changes it."""
    now = [0.0]
    monkeypatch.setattr(window, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


async def has_room(held: "Window[EmbedStreamRequest]") -> bool:
    waiting = asyncio.create_task(held.room())
    await asyncio.sleep(0)
    waiting.cancel()
    return waiting.done()


async def fill(held: "Window[EmbedStreamRequest]", first: int) -> int:
    """Add requests while there is room; the number of the last."""
    number = first
    while await has_room(held):
        held.add(EmbedStreamRequest(sequence=number))
        number += 1
    return number - 1


async def test_it_grows_while_requests_are_answered_soon_and_shrinks_when_they_are_not(clock: list[float]) -> None:
    held: Window[EmbedStreamRequest] = Window(soon=1.0)
    last = await fill(held, 1)
    assert last == LEAST
    for number in range(1, last + 1):  # each makes room for itself and one more
        assert held.answered(number)
        last = await fill(held, last + 1)
    assert len(held) == 2 * LEAST
    clock[0] = 2.0
    for number in range(LEAST + 1, last + 1):
        assert held.answered(number)
    assert await fill(held, last + 1) - last == LEAST


async def test_answers_that_come_together_let_it_grow_as_much_as_those_that_come_one_by_one(
    clock: list[float],
) -> None:
    held: Window[EmbedStreamRequest] = Window(soon=1.0)
    last = await fill(held, 1)
    assert held.answered(*range(1, last + 1), 1000) == set(range(1, last + 1))
    assert not held
    await fill(held, last + 1)
    assert len(held) == 2 * LEAST


async def test_it_does_not_grow_where_there_is_nothing_to_send(clock: list[float]) -> None:
    held: Window[EmbedStreamRequest] = Window(soon=1.0)
    for number in range(1, 100):
        held.add(EmbedStreamRequest(sequence=number))
        assert held.answered(number)
    assert await fill(held, 100) == 99 + LEAST


async def test_an_answer_to_nothing_that_is_held_changes_nothing() -> None:
    held: Window[EmbedStreamRequest] = Window(soon=1.0)
    await fill(held, 1)
    assert not held.answered(1000)
    assert not await has_room(held)


async def test_who_waits_for_room_goes_on_when_an_answer_comes() -> None:
    held: Window[EmbedStreamRequest] = Window(soon=1.0)
    await fill(held, 1)
    waiting = asyncio.create_task(held.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    held.answered(1)
    await waiting


async def test_alone_a_stream_holds_any_number() -> None:
    held: Window[EmbedStreamRequest] = Window(soon=float("inf"))
    for number in range(10_000):
        held.add(EmbedStreamRequest(sequence=number))
    assert await has_room(held)
    assert [request.sequence for request in held.requests()] == list(range(10_000))
