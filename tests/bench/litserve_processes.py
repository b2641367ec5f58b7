"""LitServe as processes, the load on them, and the search for their best setting."""

import asyncio
import base64
import itertools
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import IO, Final

import aiohttp

from lookalike_embedder.processor import CORES
from tests.bench.interleaving import steady_pace
from tests.bench.setting import Setting

DEFAULT: Final = ("default",)

_CONCURRENCY: Final = {"cpu": 6 * CORES, "cuda": 256}
"""Requests in flight: enough that none of the settings ever waits for one."""
_START_SECONDS: Final = 120.0
_TRIAL_SECONDS: Final = 4.0
_JSON: Final = {"Content-Type": "application/json"}


async def best_tunings(device: str, precision: str, setting: Setting) -> list[tuple[str, ...]]:
    """The arguments of the two fastest of some settings, each tried for a moment."""
    paces = {}
    for arguments in _tunings(device):
        async with serving(("tuned", "--precision", precision, *arguments), setting.log) as rival:
            paces[arguments] = await rival.pace(setting.jpegs, _TRIAL_SECONDS, device=device)
        print(f"LitServe tuned {' '.join(arguments)}: {paces[arguments]:.1f} images/s")
    best = sorted(paces, key=lambda arguments: paces[arguments])[-2:]
    return [("tuned", "--precision", precision, *arguments) for arguments in best]


def _tunings(device: str) -> Iterator[tuple[str, ...]]:
    """Workers that share all cores or have one each, images one at a time or in batches."""
    if device == "cuda":
        for workers, batch in itertools.product((1, 2, 4), (16, 64)):
            yield ("--workers", str(workers), "--batch", str(batch))
        return
    sharing = {("--workers", "1", "--lane", "interactive"), ("--workers", str(CORES), "--lane", "bulk")}
    for arguments, batch in itertools.product(sorted(sharing), (1, 4)):
        yield (*arguments, "--batch", str(batch))
    yield ("--workers", "2", "--lane", "interactive", "--batch", "1")  # one decodes while the other computes


class Rival:
    """LitServe as a group of processes, frozen but for its turns.

    Its workers poll while they are idle: where they make batches they took a sixth of two cores, measured, which the
    other parties would have lacked in their turns.
    """

    def __init__(self, url: str, group: int) -> None:
        self._url, self._group = url, group
        os.killpg(group, signal.SIGSTOP)

    async def pace(self, jpegs: Sequence[bytes], seconds: float, *, device: str) -> float:
        """Images per second under concurrent requests, in the steady state."""
        os.killpg(self._group, signal.SIGCONT)
        try:
            return await _pace(self._url, jpegs, seconds, _CONCURRENCY[device])
        finally:
            os.killpg(self._group, signal.SIGSTOP)


async def _pace(url: str, jpegs: Sequence[bytes], seconds: float, concurrency: int) -> float:
    answers, stopped = 0, False
    bodies = itertools.cycle([json.dumps({"image": base64.b64encode(data).decode()}).encode() for data in jpegs])

    async def ask(session: aiohttp.ClientSession) -> None:
        nonlocal answers
        while not stopped:
            async with session.post(f"{url}/predict", data=next(bodies), headers=_JSON) as answer:
                await answer.read()
                answer.raise_for_status()
            answers += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        tasks = [asyncio.create_task(ask(session)) for _ in range(concurrency)]
        try:
            return await steady_pace(tasks, lambda: answers, seconds)
        finally:
            stopped = True
            await asyncio.gather(*tasks)  # LitServe computes what it has, whether somebody waits or not


@asynccontextmanager
async def serving(arguments: Sequence[str], log: IO[bytes]) -> AsyncIterator[Rival]:
    """LitServe, ready and frozen."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = (sys.executable, "-m", "tests.bench.litserve_api", *arguments, "--port", str(port))
    process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(_START_SECONDS):
            await _ready(url, process)
        yield Rival(url, process.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it has workers, which outlive a gentler signal
        await process.wait()


async def _ready(url: str, process: asyncio.subprocess.Process) -> None:
    async with aiohttp.ClientSession() as session:
        while process.returncode is None:
            with suppress(aiohttp.ClientError):
                async with session.get(f"{url}/health") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.2)
    raise RuntimeError(f"LitServe ended with exit code {process.returncode} before it was ready; see the log")
