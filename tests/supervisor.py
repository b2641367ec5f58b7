"""Servers that are started again, on their ports, whenever they end; and the embedded PostgreSQL of one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import psutil

from lookalike.processes import ServerFailed, ServerProcess, running
from lookalike_searcher.database.statement import Connection
from tests.polling import until


class SupervisedProcess:
    """A server that is started again, on its port, whenever it ends."""

    def __init__(self, module: str, *flags: str, log: Path) -> None:
        self._module, self._flags, self._log = module, flags, log
        self._port = "0"
        self.server: ServerProcess | None = None

    async def keep(self) -> None:
        """Do so until cancelled."""
        with self._log.open("ab") as log:
            while True:
                with suppress(ServerFailed):
                    async with running(self._module, ["--port", self._port, *self._flags], log) as self.server:
                        self._port = self.server.address.rpartition(":")[2]
                        await self.server.process.wait()

    async def is_up(self) -> bool:
        return self.server is not None and self.server.process.returncode is None

    @property
    def address(self) -> str:
        assert self.server
        return self.server.address

    @property
    def pid(self) -> int:
        assert self.server
        return self.server.process.pid

    async def terminate(self) -> None:
        """Once it is up; it drains what it does."""
        await until(self.is_up)
        assert self.server
        self.server.process.terminate()
        await self.server.process.wait()

    async def kill(self) -> None:
        """Once it is up."""
        await until(self.is_up)
        assert self.server
        self.server.process.kill()
        await self.server.process.wait()


def postmaster(data: Path) -> psutil.Process:
    """The embedded PostgreSQL's first process, of a searcher with this data directory."""
    return psutil.Process(int((data / "postgres" / "postmaster.pid").read_text().split()[0]))


@asynccontextmanager
async def connected(data: Path) -> AsyncIterator[Connection]:
    """A connection to a searcher's embedded PostgreSQL."""
    sockets = (data / "postgres" / "postmaster.pid").read_text().splitlines()[4]
    connection = await asyncpg.connect(f"postgresql://postgres@/postgres?host={sockets}")
    try:
        yield connection
    finally:
        await connection.close()


def kill_postgres(data: Path) -> None:
    """All of its processes. The searcher then ends by itself."""
    parent = postmaster(data)
    for process in [parent, *parent.children()]:
        process.kill()
