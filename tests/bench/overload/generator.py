"""The load generator, a process of its own: it says when what counts begins and ends, and writes what became of calls.

An open loop's calls begin when they are due, whatever has become of those before. A closed loop has so many clients,
each with a connection of its own, which call again as soon as they are answered.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import uvloop

from lookalike_serving.server import calm_collector
from tests.bench.overload.calls import CHANNELS, Answer, Caller, caller
from tests.bench.overload.plan import Plan

_PATIENCE: Final = 60.0
"""Seconds that a client of the closed loop waits: it is there to see what the server can do."""


async def generate(plan: Plan) -> None:
    """Make the calls of the plan."""
    async with caller(plan.method, plan.address, Path(plan.requests), plan.seed) as made:
        calm_collector()
        began, used = time.monotonic(), _cpu()
        counted = began + plan.warm_up, began + plan.warm_up + plan.seconds
        _say(counted=counted)
        answers: list[Answer] = []
        async with asyncio.TaskGroup() as group:
            if plan.rate:
                await _open_loop(plan, made, counted[1], answers.append, group)
                _say(generator_cores=(_cpu() - used) / (time.monotonic() - began))
            else:
                for client in range(CHANNELS):
                    group.create_task(_closed_loop(made, client, counted[1], answers))
    if not plan.rate:
        _say(generator_cores=(_cpu() - used) / (time.monotonic() - began))
    await asyncio.to_thread(Path(plan.answers).write_text, json.dumps(answers))


async def _open_loop(
    plan: Plan, made: Caller, end: float, note: Callable[[Answer], None], group: asyncio.TaskGroup
) -> None:
    """Begin calls until the end; they go on in the group."""
    assert plan.rate
    mean, rng, number = 1 / plan.rate, np.random.default_rng(plan.seed), 0
    due = time.monotonic()
    while due < end:
        if (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        else:
            await asyncio.sleep(0)  # answers are read in between
        while due < min(time.monotonic(), end):
            task = group.create_task(made.call(due, plan.deadline, number))
            task.add_done_callback(partial(_noted, note))
            due += rng.exponential(mean) if plan.arrivals == "exponential" else mean
            number += 1
    await asyncio.sleep(max(0.0, end - time.monotonic()))  # the last one is due before


async def _closed_loop(made: Caller, client: int, end: float, answers: list[Answer]) -> None:
    while (now := time.monotonic()) < end:
        answers.append(await made.call(now, _PATIENCE, client))


def _noted(note: Callable[[Answer], None], task: asyncio.Task[Answer]) -> None:
    if not task.cancelled() and not task.exception():
        note(task.result())


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(generate(Plan.read(sys.argv[1])))
