"""Run the learning process beside the searcher, and let it pause while searches are under load."""

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import Process
from typing import Final

import numpy as np

from lookalike.adapt.choose import Choice
from lookalike.adapt.learning import Projection
from lookalike.adapt.sample import Sample
from lookalike_searcher.tuning import learning_process
from lookalike_searcher.tuning.load import Load

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5


class LearningFailed(Exception):
    """The learning process has ended without an answer."""


async def choose(sample: Sample, serving: Projection | None, fresh: np.ndarray, load: Load) -> Choice:
    """Choose a projection in a process with one thread, which runs when nobody else needs a core.

    Raises:
        LearningFailed: it ended without an answer, for want of memory for example.
    """
    given = await asyncio.to_thread(learning_process.question, sample, serving, fresh)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", learning_process.__name__, str(os.getpid())),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | learning_process.ONE_THREAD,
    )
    try:
        answer = await _answered(process, given, load)
    finally:
        if process.returncode is None:
            process.kill()  # this ends a stopped process too
            await process.wait()
    if process.returncode:
        raise LearningFailed(f"the learning process ended with exit code {process.returncode}")
    return await asyncio.to_thread(learning_process.answer, answer)


async def _answered(process: Process, given: bytes, load: Load) -> bytes:
    """Return what the process answers, while it pauses under load; nothing if it ends before it is ready."""
    assert process.stdout  # noqa: S101 - it is a pipe
    if not await process.stdout.read(len(learning_process.READY)):
        await process.wait()
        return b""
    pausing = asyncio.create_task(_pause_under_load(process, load))
    try:
        return (await process.communicate(given))[0]
    finally:
        pausing.cancel()
        await asyncio.wait({pausing})


async def _pause_under_load(process: Process, load: Load) -> None:
    """Stop the process while the load is high, until cancelled or until the process ends."""
    while process.returncode is None:
        if load.is_high:
            process.send_signal(signal.SIGSTOP)
            await load.wait_until_low()
            process.send_signal(signal.SIGCONT)
        await asyncio.sleep(_LOOK_SECONDS)
