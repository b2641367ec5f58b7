"""Run PostgreSQL as part of the program: on one machine, with one command, without an administrator.

`pg_ctl` starts it. This module stops it, and makes kills safe: a data directory has one owner, and nothing that a dead
owner left behind is trusted.
"""

import asyncio
import fcntl
import logging
import os
import pwd
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil

from lookalike_searcher.database import pg_ctl, unix_socket
from lookalike_searcher.database.pg_ctl import UnusableDataDir

logger = logging.getLogger(__name__)

_STOP_TIMEOUT_SECONDS: Final = 60.0
_WATCH_SECONDS: Final = 1.0


@dataclass(frozen=True)
class EmbeddedPostgres:
    """The server is running in a process of its own.

    It has a connection URL, over a Unix socket that only its owner reaches, and a process.
    """

    url: str
    process: psutil.Process

    async def ended(self) -> None:
        """Wait until the server has ended, which it should not do by itself."""
        while self._runs():  # noqa: ASYNC110 - there is no event for the end of another process
            await asyncio.sleep(_WATCH_SECONDS)

    def _runs(self) -> bool:
        try:
            return self.process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


@contextmanager
def embedded(data_dir: Path) -> "Iterator[EmbeddedPostgres]":
    """Run PostgreSQL on `data_dir` within the block. The directory is created if needed; the end is clean.

    Raises:
        UnusableDataDir: another process uses it, or PostgreSQL does not start on it.
    """
    data_dir = data_dir.expanduser().resolve()
    cluster, user = data_dir / "postgres", pg_ctl.owner()
    pg_ctl.take(cluster, user)
    with _owned(data_dir), unix_socket.folder(cluster, user) as sockets:
        _clean_up_after_the_killed(cluster, user)
        pg_ctl.initialise(cluster, user)
        pg_ctl.start(cluster, user, sockets)
        pid_file = (cluster / "postmaster.pid").read_text()
        logger.info("embedded PostgreSQL runs in %s", cluster)
        try:
            yield EmbeddedPostgres(_url(sockets), psutil.Process(int(pid_file.split()[0])))
        finally:
            if postmaster := _postmaster(pid_file, cluster):
                _stop(postmaster, cluster)
    logger.info("embedded PostgreSQL stopped")


@contextmanager
def reached(data_dir: Path) -> Iterator[str]:
    """Yield the URL of a PostgreSQL on `data_dir`: of the searcher that runs there, or of one that is started here.

    Raises:
        UnusableDataDir: see `embedded`.
    """
    with ExitStack() as stack:
        try:
            url = stack.enter_context(embedded(data_dir)).url
        except UnusableDataDir:
            cluster = data_dir.expanduser().resolve() / "postgres"
            pid_file = cluster / "postmaster.pid"
            pid_text = pid_file.read_text() if pid_file.exists() else ""
            if not _postmaster(pid_text, cluster):
                raise
            url = _url(Path(pid_text.splitlines()[4]))
        yield url


def _url(sockets: Path) -> str:
    return f"postgresql://{pg_ctl.SUPERUSER}@/postgres?host={quote(str(sockets))}"


@contextmanager
def _owned(data_dir: Path) -> Iterator[None]:
    """Hold the directory's lock, which the kernel releases however this process ends."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(data_dir / "searcher.lock", flags, 0o600), "r+") as lock:
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


def _clean_up_after_the_killed(cluster: Path, user: pwd.struct_passwd) -> None:
    """Stop the server that a killed owner left running, and remove the locks that a killed server left behind.

    PostgreSQL checks by process number, which may be another program's after a reboot, and a zombie's in a container.
    We check that no PostgreSQL works in the directory; the processes of a killed one may take a moment to notice.
    """
    pid_file = cluster / "postmaster.pid"
    pid_text = pid_file.read_text() if pid_file.exists() else ""
    if postmaster := _postmaster(pid_text, cluster):
        logger.info("stopping the PostgreSQL that a killed searcher left running")
        _stop(postmaster, cluster)
    deadline = time.monotonic() + _STOP_TIMEOUT_SECONDS
    while any(_works_in(process, cluster) for process in psutil.process_iter()):
        if time.monotonic() > deadline:
            raise UnusableDataDir(f"PostgreSQL processes of an earlier run do not end; they work in {cluster}")
        time.sleep(0.05)
    for name in ("postmaster.pid", f"{unix_socket.NAME}.lock"):
        (cluster / name).unlink(missing_ok=True)
    for line in pid_text.splitlines()[4:5]:
        unix_socket.remove(Path(line), user)


def _postmaster(pid_file: str, cluster: Path) -> psutil.Process | None:
    """Return the server that the file names; None if its number is stale, or belongs to another program or server."""
    try:
        process = psutil.Process(int(pid_file.split()[0]))
    except (IndexError, ValueError, psutil.NoSuchProcess):
        return None
    return process if _works_in(process, cluster) else None


def _works_in(process: psutil.Process, cluster: Path) -> bool:
    """Return whether the process is a living PostgreSQL of this data directory, in which all of them work."""
    try:
        return process.name() == "postgres" and Path(process.cwd()) == cluster
    except psutil.Error:  # it has ended, is a zombie, or belongs to another user
        return False


def _stop(postmaster: psutil.Process, cluster: Path) -> None:
    """Shut down fast: end clients, write a checkpoint. By signal, as gRPC's threads do not allow pg_ctl's forks."""
    postmaster.send_signal(signal.SIGINT)
    deadline = time.monotonic() + _STOP_TIMEOUT_SECONDS
    while (cluster / "postmaster.pid").exists() and time.monotonic() < deadline:  # this file is removed last
        time.sleep(0.02)
