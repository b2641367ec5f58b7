"""The demonstration's page, left open."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from lookalike.processes import ServerProcess
from lookalike.signals import until_signalled
from lookalike_gateway.config import Config
from lookalike_gateway.server import serving


async def stay(embedder: ServerProcess, searcher: ServerProcess, folders: Iterable[Path], console: Console) -> None:
    """Serve the page over what was indexed, with thumbnails of files in the folders, until we are told to end."""
    config = Config(embedder.address, searcher.address, port=0, photos_roots=tuple(set(folders)))
    async with serving(config) as address:
        console.print(f"web       {address} is open: drop a photo there. Ctrl-C ends all.", soft_wrap=True)
        await until_signalled()
