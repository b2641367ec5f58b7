"""Phases of load, each by a generator process of its own."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tests.bench.overload.calls import Answer
from tests.bench.overload.plan import Plan
from tests.bench.overload.tally import Tally

_WARM_UP: Final = 1.0


class Phase:
    """A phase under way; what counts begins and ends at these monotonic times."""

    def __init__(self, plan: Plan, process: asyncio.subprocess.Process, counted: tuple[float, float]) -> None:
        self.counted = counted
        self._plan, self._process = plan, process
        self._cores = 0.0

    async def sent(self) -> None:
        """Wait until no further calls begin; some of an open loop may still wait for their answers."""
        self._cores = (await _said(self._process))["generator_cores"]

    async def tally(self) -> Tally:
        """Wait for the last answer, and count."""
        if code := await self._process.wait():
            raise SystemExit(f"the load generator ended with exit code {code}")
        answers = json.loads(await asyncio.to_thread(Path(self._plan.answers).read_text))
        return Tally([Answer(*answer) for answer in answers], self.counted, self._plan, self._cores)


@dataclass(frozen=True)
class Load:
    """All phases of a server.

    Attributes:
        plan: theirs, but for the rate.
    """

    plan: Plan

    async def capacity(self) -> Tally:
        """What a closed loop of eight clients is answered."""
        async with _running(replace(self.plan, rate=None, warm_up=_WARM_UP)) as phase:
            await phase.sent()
            return await phase.tally()

    @asynccontextmanager
    async def at(self, rate: float) -> AsyncIterator[Phase]:
        """An open loop. It counts after a deadline's time, when queues are as long as they get."""
        async with _running(replace(self.plan, rate=rate, warm_up=self.plan.deadline)) as phase:
            yield phase


@asynccontextmanager
async def _running(plan: Plan) -> AsyncIterator[Phase]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.overload.generator", plan.written(), stdout=asyncio.subprocess.PIPE
    )
    try:
        began, ends = (await _said(process))["counted"]
        yield Phase(plan, process, (began, ends))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _said(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout
    if line := await process.stdout.readline():
        said: dict[str, Any] = json.loads(line)
        return said
    raise SystemExit(f"the load generator ended with exit code {await process.wait()}")
