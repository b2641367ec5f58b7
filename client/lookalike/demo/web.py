"""Serve the web page of the demonstration."""

from collections.abc import Iterable
from pathlib import Path
from typing import IO

from rich.console import Console

from lookalike.processes import ServerProcess, running
from lookalike.signals import until_signalled


async def serve_page(
    embedder: ServerProcess, searcher: ServerProcess, folders: Iterable[Path], console: Console, log: IO[bytes]
) -> None:
    """Serve the page over the indexed photos until SIGINT or SIGTERM, with thumbnails of files in the folders."""
    roots = (argument for folder in sorted(set(folders)) for argument in ("--photos-root", str(folder)))
    servers = ("--embedder", embedder.address, "--searcher", searcher.address)
    async with running("lookalike_gateway", ["--port", "0", *servers, *roots], log) as gateway:
        console.print(f"web       {gateway.address} is open: drop a photo there. Ctrl-C ends all.", soft_wrap=True)
        await until_signalled()
