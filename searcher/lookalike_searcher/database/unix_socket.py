"""Choose the folder of the embedded PostgreSQL's socket, which only its owner can enter."""

import os
import pwd
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lookalike_searcher.database.pg_ctl import UnusableDataDir

NAME: Final = ".s.PGSQL.5432"
_LONGEST: Final = 103 if sys.platform == "darwin" else 107
"""The path of a socket has at most so many bytes."""
_PREFIX: Final = "lookalike-postgres-"
_MEANINGFUL: Final = frozenset(',"\n')
"""PostgreSQL gives these characters a meaning of their own in this path."""


@contextmanager
def folder(cluster: Path, user: pwd.struct_passwd) -> Iterator[Path]:
    """Yield the socket's folder: the data directory, or, if its path is too long, a new folder with a random name.

    Raises:
        UnusableDataDir: there is no safe place for it.
    """
    if _fits(cluster):
        yield cluster
        return
    socket_folder = _created_folder(user)
    try:
        yield socket_folder
    finally:
        remove(socket_folder, user)


def remove(sockets: Path, user: pwd.struct_passwd) -> None:
    """Remove a folder that `folder` created, also after a kill; nothing else, and through no link."""
    if sockets.name.startswith(_PREFIX):
        with suppress(OSError):
            if sockets.lstat().st_uid in (user.pw_uid, os.geteuid()):
                shutil.rmtree(sockets, ignore_errors=True)


def _fits(place: Path) -> bool:
    return len(os.fsencode(place / NAME)) <= _LONGEST and not _MEANINGFUL & set(str(place))


def _created_folder(user: pwd.struct_passwd) -> Path:
    tried = list(_candidates())
    for place in tried:
        if _fits(place / f"{_PREFIX}12345678") and _is_safe(place):
            socket_folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
            if os.geteuid() == 0:
                os.chown(socket_folder, user.pw_uid, user.pw_gid)
            return socket_folder
    raise UnusableDataDir(
        "the data directory's path is too long for a Unix socket, and so is, or is not ours alone, each of"
        f" {', '.join(map(str, tried))}: choose a shorter --data-dir"
    )


def _candidates() -> Iterator[Path]:
    """Yield folders for temporary files. PostgreSQL's user could not enter root's own ones."""
    if os.geteuid():
        if runtime := os.environ.get("XDG_RUNTIME_DIR"):
            yield Path(runtime)
        yield Path(tempfile.gettempdir())
    yield Path("/tmp")  # noqa: S108 - the new folder in it has a random name


def _is_safe(place: Path) -> bool:
    """Return whether no other user can rename what we create there."""
    try:
        status = place.stat()
    except OSError:
        return False
    others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return status.st_uid in (0, os.geteuid()) and (not others or bool(status.st_mode & stat.S_ISVTX))
