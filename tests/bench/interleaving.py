"""Parties that take turns, so that a noisy machine disturbs all alike; and how the pace of one is measured."""

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

Paces = dict[str, list[float]]

_WARM_UP_SECONDS = 2.0
_LOOK_SECONDS = 0.003


async def take_turns(parties: Mapping[str, Callable[[], Awaitable[float]]], rounds: int) -> Paces:
    """What each party measured, round by round. Only one is at work at a time; every second round goes backwards."""
    paces: Paces = {name: [] for name in parties}
    for number in range(rounds):
        for name in list(parties)[:: -1 if number % 2 else 1]:
            paces[name].append(await parties[name]())
        print(f"round {number + 1}: " + ", ".join(f"{name} {found[-1]:.1f}" for name, found in paces.items()))
    return paces


def ratio(paces: Paces, of: str, over: str) -> float:
    """The pace of one party over that of another: the median over the rounds."""
    return statistics.median(one / other for one, other in zip(paces[of], paces[over], strict=True))


async def steady_pace(
    tasks: Iterable["asyncio.Task[Any]"],
    answers: Callable[[], int],
    seconds: float,
    warm_up: float = _WARM_UP_SECONDS,
) -> float:
    """Answers per second in the steady state: `tasks` keep a server saturated before, in and after what is measured.

    The clock starts and stops as an answer comes, since an arbitrary moment would cut a batch in two.
    """
    loop, running = asyncio.get_running_loop(), list(tasks)
    found, moments = [], []
    for wait in (warm_up, seconds):
        await _let_run(running, wait)
        earlier = answers()
        while (now := answers()) == earlier:
            await _let_run(running, _LOOK_SECONDS)
        found.append(now)
        moments.append(loop.time())
    return (found[1] - found[0]) / (moments[1] - moments[0])


async def _let_run(tasks: list["asyncio.Task[Any]"], seconds: float) -> None:
    """Wait; raise what a task raises meanwhile."""
    ended, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in ended:
        task.result()
        raise RuntimeError("a load ended before its pace was measured")
