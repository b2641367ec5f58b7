"""The folder of the embedded PostgreSQL's socket, which only its owner can enter."""

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
"""Bytes of a socket's path."""
_PREFIX: Final = "lookalike-postgres-"
_MEANINGFUL: Final = frozenset(',"\n')
"""Characters that PostgreSQL does not take for part of a path here."""


@contextmanager
def folder(cluster: Path, user: pwd.struct_passwd) -> Iterator[Path]:
    """Where the socket is: the data directory; if its path is too long, a new folder of a name nobody can guess.

    Raises:
        UnusableDataDir: there is no place for it.
    """
    if _fits(cluster):
        yield cluster
        return
    made = _made(user)
    try:
        yield made
    finally:
        remove(made, user)


def remove(sockets: Path, user: pwd.struct_passwd) -> None:
    """Remove a folder that `folder` made, as those who are killed leave them; nothing else, and through no link."""
    if sockets.name.startswith(_PREFIX):
        with suppress(OSError):
            if sockets.lstat().st_uid in (user.pw_uid, os.geteuid()):
                shutil.rmtree(sockets, ignore_errors=True)


def _fits(place: Path) -> bool:
    return len(os.fsencode(place / NAME)) <= _LONGEST and not _MEANINGFUL & set(str(place))


def _made(user: pwd.struct_passwd) -> Path:
    tried = list(_candidates())
    for place in tried:
        if _fits(place / f"{_PREFIX}12345678") and _is_safe(place):
            made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
            if os.geteuid() == 0:
                os.chown(made, user.pw_uid, user.pw_gid)
            return made
    raise UnusableDataDir(
        "the data directory's path is too long for a Unix socket, and so is, or is not ours alone, each of"
        f" {', '.join(map(str, tried))}: choose a shorter --data-dir"
    )


def _candidates() -> Iterator[Path]:
    """Folders for what lives as long as we do. What root has of its own, PostgreSQL's user could not enter."""
    if os.geteuid():
        if runtime := os.environ.get("XDG_RUNTIME_DIR"):
            yield Path(runtime)
        yield Path(tempfile.gettempdir())
    yield Path("/tmp")  # noqa: S108 - for a new folder of a name of its own


def _is_safe(place: Path) -> bool:
    """Whether nobody can rename there what we make."""
    try:
        status = place.stat()
    except OSError:
        return False
    others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return status.st_uid in (0, os.geteuid()) and (not others or bool(status.st_mode & stat.S_ISVTX))
