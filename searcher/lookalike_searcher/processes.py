"""Serve one port with several processes. Each is a whole searcher: they share the port and the database, nothing else.

The kernel gives each new connection to one of them (SO_REUSEPORT), which keeps it. So the calls of one connection are
not spread, and few clients may use the processes unevenly.
"""

import asyncio
import logging
import multiprocessing
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Final

import uvloop

from lookalike.signals import cancelled_when_terminated
from lookalike_searcher.config import Config
from lookalike_searcher.database import pool
from lookalike_searcher.failures import failures_told
from lookalike_searcher.server import Ready, database_of, run, until_signalled_or, where
from lookalike_serving import logs, tracing
from lookalike_serving.listening import cannot_listen

logger = logging.getLogger(__name__)

_AGAIN_SECONDS: Final = 1.0
"""So long after a process has ended by itself, another one is started in its place."""
_SPAWN: Final = multiprocessing.get_context("spawn")


async def run_several(config: Config, announce: Callable[[str], None]) -> None:
    """Serve with `config.processes` processes until a signal; one that ends by itself is replaced.

    Args:
        config: the configuration. Each process has a pool and limits of its own. The metrics ports count on from the
            first one.
        announce: is called once, with one line that names the address, when all are ready.

    Raises:
        OSError: a port is taken.
        RuntimeError: a process ended before it was ready.
        UnusableDatabase: the database cannot be used, or the embedded PostgreSQL has ended.
    """
    config.check_ports()
    async with AsyncExitStack() as stack:
        url, lost = stack.enter_context(database_of(config))
        async with pool.connect(url, pool_size=1, command_timeout=config.command_timeout):
            pass  # the schema is migrated once for all
        port = stack.enter_context(_reserved(config.host, config.port))
        shared = replace(config, database_url=url, port=port)
        children = [_Child(_of_number(shared, config, number)) for number in range(config.processes)]
        stack.push_async_callback(_stop, children)
        ports = [(await child.start()).metrics_port for child in children]
        announce(
            f"lookalike-searcher ready on {config.host}:{port} ({len(children)} processes, {where(config)}, metrics on"
            f" ports {', '.join(map(str, ports))})"
        )
        replacing = [asyncio.create_task(child.replace_when_ended()) for child in children]
        try:
            await until_signalled_or(lost)
        finally:
            for task in replacing:
                task.cancel()


def _of_number(shared: Config, given: Config, number: int) -> Config:
    first = given.metrics_address[1]
    return replace(shared, metrics_port=first + number if first else 0, processes=1)


@contextmanager
def _reserved(host: str, port: int) -> Iterator[int]:
    """Hold a port in the block, on which others of this user may listen. Yields its number. Raises OSError."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            held.bind((host, port))
        except OSError as error:
            raise cannot_listen(host, port, "--port", error) from error
        yield held.getsockname()[1]


class _Child:
    """A child is a searcher in a process of its own, and after it has ended, the next one.

    Args:
        config: the configuration.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._process = _SPAWN.Process()

    async def start(self) -> Ready:
        """Start the process, and wait until it is ready. Raises RuntimeError if it ends before."""
        ours, theirs = _SPAWN.Pipe(duplex=False)
        with ours:
            with theirs:
                self._process = _SPAWN.Process(target=_serve, args=(self._config, theirs))
                self._process.start()
            await _readable(ours.fileno())
            try:
                ready: Ready = ours.recv()
            except EOFError:
                await self.ended()
                code = self._process.exitcode
                raise RuntimeError(f"a process ended with exit code {code} before it was ready; see its log") from None
            return ready

    async def ended(self) -> None:
        """Wait until the process has ended."""
        if self._process.pid:
            await _readable(self._process.sentinel)
            self._process.join()

    async def replace_when_ended(self) -> None:
        """Start another process whenever one has ended, until cancelled."""
        while True:
            await self.ended()
            logger.error("process %s ended with exit code %s", self._process.pid, self._process.exitcode)
            await asyncio.sleep(_AGAIN_SECONDS)
            try:
                await self.start()
                logger.info("process %s is ready in its place", self._process.pid)
            except RuntimeError:
                logger.exception("no process is in its place yet")

    def terminate(self) -> None:
        """Let the process drain and end."""
        if self._process.is_alive():
            self._process.terminate()


async def _stop(children: list[_Child]) -> None:
    for child in children:
        child.terminate()
    await asyncio.gather(*(child.ended() for child in children))


async def _readable(descriptor: int) -> None:
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(descriptor)


def _serve(config: Config, ready: Connection) -> None:
    """Serve in this process, until a signal or the end of the one that started it."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - this is its child

    def announce(told: Ready) -> None:
        with ready:
            ready.send(told)

    logs.configure(config.log_level, config.log_format, config.audit_log)
    with (
        failures_told(),
        tracing.exporting("lookalike-searcher"),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        work = run(config, announce, parent_lost=lambda: _readable(parent.sentinel))
        runner.run(cancelled_when_terminated(work))
