"""Implement `lookalike up`, which runs a searcher and an embedder on one machine."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.common import console, errors, run
from lookalike.constants import EMBEDDER_PORT, SEARCHER_PORT
from lookalike.processes import require, running
from lookalike.signals import until_signalled


def up(
    data_dir: Annotated[
        Path | None, typer.Option(envvar="LOOKALIKE_DATA_DIR", help="Data folder of the embedded PostgreSQL.")
    ] = None,
    embedder_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the embedder; 0: a free port.")
    ] = EMBEDDER_PORT,
    searcher_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the searcher; 0: a free port.")
    ] = SEARCHER_PORT,
) -> None:
    """Run a searcher and an embedder until Ctrl-C, with an embedded PostgreSQL or the database of DATABASE_URL."""

    async def work() -> int:
        require("asyncpg", "torch")
        data = ["--data-dir", str(data_dir)] if data_dir else []
        async with AsyncExitStack() as stack:
            searcher = await stack.enter_async_context(
                running("lookalike_searcher", ["--port", str(searcher_port), "--tuning", "auto", *data])
            )
            embedder = await stack.enter_async_context(running("lookalike_embedder", ["--port", str(embedder_port)]))
            console.print(f"searcher  {searcher.address}  {searcher.description}", soft_wrap=True)
            console.print(f"embedder  {embedder.address}  {embedder.description}", soft_wrap=True)
            console.print("Ready. Ctrl-C stops both.")
            ended = await _first_to_end(searcher.process, embedder.process)
            if ended is not None:
                errors.print(f"a server ended with exit code {ended}; stopping the other one")
                return 1
        console.print("stopped")
        return 0

    run(work())


async def _first_to_end(*processes: asyncio.subprocess.Process) -> int | None:
    """Wait for a signal, and return None, or for the first process that ends by itself, and return its exit code."""
    signalled = asyncio.ensure_future(until_signalled())
    waits = [signalled, *(asyncio.ensure_future(process.wait()) for process in processes)]
    done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in pending:
        wait.cancel()
    return None if signalled in done else next(p.returncode for p in processes if p.returncode is not None)
