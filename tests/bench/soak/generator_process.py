"""The load generator, as a process: it shares no interpreter with asyncio, as gevent patches the standard library."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.soak.plan import Plan


class Generator:
    """One.

    Attributes:
        cpu_seconds: processor time that it took, once it has finished.
    """

    def __init__(self, plan: Plan, log: Path) -> None:
        self._plan, self._log = plan, log
        self.cpu_seconds = 0.0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Calls begin with the block, and end with it."""
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "gevent.monkey", "--module", "tests.bench.soak.generator", self._plan.written()),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        try:
            await self._said()
            yield
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()

    async def finish(self) -> None:
        """Wait for the last answer."""
        self.cpu_seconds = float(await self._said())
        await self._process.wait()

    async def _said(self) -> str:
        assert self._process.stdout
        if line := await self._process.stdout.readline():
            return line.decode().strip()
        raise SystemExit(f"the load generator failed:\n{self._log.read_text()[-2000:]}")
