"""Run a bench in a scratch folder, with a file for what its servers write, until it ends or is told to end."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import IO, Any, TypeVar

import uvloop

from lookalike.signals import cancelled_when_terminated

T = TypeVar("T")


def run(measure: Callable[[Path, IO[bytes]], Coroutine[Any, Any, T]], log_file: Path | None = None) -> T:
    """Return what was measured.

    Args:
        measure: measures, given the folder and the open log.
        log_file: of the servers; left out, it is in the folder, and thrown away with it.
    """
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as scratch:
        folder = Path(scratch)
        with (
            (log_file or folder / "servers.log").open("wb") as log,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            return runner.run(cancelled_when_terminated(measure(folder, log)))
