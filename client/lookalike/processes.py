"""Start our servers as child processes, wait for them, and stop them with the block that needs them."""

import asyncio
import importlib.util
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Final

_STOP_TIMEOUT_SECONDS: Final = 60.0
_READY: Final = re.compile(r"ready on (\S+)(?: \((.*)\))?")


class ServerFailed(Exception):
    """A server could not start, or is not installed. The message says what to do."""


class ServerProcess:
    """A server process is ready: this is its address, what it says of itself, and the process."""

    def __init__(self, process: asyncio.subprocess.Process, address: str, description: str) -> None:
        self.process = process
        self.address = address
        self.description = description


def require(*modules: str, extras: str = "`demo` (or `embedder` and `searcher`)") -> None:
    """Raise ServerFailed unless the modules that a command needs, which come with `extras`, are installed."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise ServerFailed(
            f"this needs {', '.join(missing)}, which the base install leaves out: install lookalike with the extra"
            f" {extras}, for example, in a checkout, pip install '.[demo]'"
        )


@asynccontextmanager
async def running(module: str, arguments: Sequence[str], log: IO[bytes] | None = None) -> AsyncIterator[ServerProcess]:
    """Run `python -m module` until the end of the block, which begins when the server is ready.

    Args:
        module: `lookalike_embedder`, `lookalike_searcher` or `lookalike_gateway`.
        arguments: its command line.
        log: where its log goes; to our standard error if it is left out.

    Raises:
        ServerFailed: it ended before it was ready.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        start_new_session=True,  # Ctrl-C is for us; we then stop the servers in order
    )
    try:
        yield await _ready(process, module, log)
    finally:
        await stop(process)


async def stop(process: asyncio.subprocess.Process) -> None:
    """Let a server drain and end; kill it if it does not."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _STOP_TIMEOUT_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _ready(process: asyncio.subprocess.Process, module: str, log: IO[bytes] | None) -> ServerProcess:
    output = process.stdout
    assert output is not None  # noqa: S101 - we asked for the pipe
    while line := await output.readline():
        if match := _READY.search(line.decode()):
            return ServerProcess(process, match[1], match[2] or "")
    code = await process.wait()
    why = f"; its log ends with:\n{_tail(Path(log.name))}" if log else ""
    raise ServerFailed(f"{module} ended with exit code {code} before it was ready{why}")


def _tail(path: Path, lines: int = 12) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
