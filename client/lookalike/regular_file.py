"""Open regular files without waiting: a pipe, a device, a socket or a folder is refused."""

import errno
import os
import stat
from typing import Final

_KINDS: Final = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""The flag stays: on a regular file of a disk it does nothing, but some of /proc would wait for their next line."""


def open_regular(path: str | os.PathLike[str]) -> int:
    """Return a descriptor to read the file by. Links are followed.

    Raises:
        OSError: it cannot be opened, or is no regular file.
        ValueError: no file can have that name.
    """
    _check(os.stat(path), path)  # first, as to open some devices does something
    descriptor = os.open(path, _FLAGS)
    try:
        _check(os.fstat(descriptor), path)  # it may be another one by now
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(status: os.stat_result, path: str | os.PathLike[str]) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", os.fspath(path))
