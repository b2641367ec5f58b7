"""What is costly to make is made once for a run of the tests: all processes that test at once share it."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder of this name; the first process that asks for it fills it, and others wait for that."""
    folder = Path(os.environ["PYTEST_DEBUG_TEMPROOT"], name)
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            make(folder)
            (folder / "made").touch()
    return folder
