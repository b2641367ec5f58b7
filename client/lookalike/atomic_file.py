"""Write files whole or not at all, and never through what somebody else has laid in their place.

A new file gets a name that nobody can guess, is created there exclusively, and takes the target's place by a rename.
So a link, a FIFO or a foreign file at the target, or at any name that we might use, is never written to.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

SECRET: Final = 0o600
"""The mode of what only its owner may read."""
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_NAME: Final = 55
"""Characters of the target's name in the new one's, which so has at most 255 bytes."""


@contextmanager
def replacing(target: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """Yield a new file, which takes the target's place when the block has ended well, and is then on the disk.

    Args:
        target: what to write. It may be a file already, of which we keep the mode if it is ours.
        mode: who may read it, whatever was there before.

    Raises:
        OSError: the target is a link or no file, or the new file cannot be written.
    """
    file, partial = _created(target, mode)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        _settle(target.absolute().parent)
    finally:
        partial.unlink(missing_ok=True)


def write(target: Path, content: bytes | str, mode: int | None = None) -> None:
    """Write a file, see `replacing`."""
    with replacing(target, mode) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def fresh(target: Path, mode: int | None = None) -> BinaryIO:
    """Yield a new and empty file in the target's place, for what others may read while it grows; see `replacing`."""
    file, partial = _created(target, mode)
    partial.replace(target)
    return file


def check(target: Path) -> None:
    """Raise OSError if `replacing` would refuse the target, before work is done for it."""
    _mode_of(target)


def opened(source: Path) -> BinaryIO:
    """A file to be read, without waiting for whoever writes to a FIFO. Raises OSError, also if it is no file."""
    descriptor = os.open(source, _OLD)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{source} is no regular file")
    return os.fdopen(descriptor, "rb")


def _created(target: Path, mode: int | None) -> tuple[BinaryIO, Path]:
    current_mode = _mode_of(target)
    partial = target.with_name(f"{target.name[:_NAME]}.{secrets.token_hex(8)}.part")
    descriptor = os.open(partial, _NEW, 0o666 if mode is None else mode)
    if (new_mode := current_mode if mode is None else mode) is not None:
        os.fchmod(descriptor, new_mode)
    return os.fdopen(descriptor, "w+b"), partial


def _mode_of(target: Path) -> int | None:
    """The mode of a file of ours. Raises OSError for what is no file: to replace it would lose it in silence."""
    try:
        status = target.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        raise OSError(f"{target} is a symbolic link: name the file that it points to")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{target} is there and no regular file: choose another name")
    return stat.S_IMODE(status.st_mode) & 0o777 if status.st_uid == os.geteuid() else None


def _settle(folder: Path) -> None:
    """See that the folder's new entry outlives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
