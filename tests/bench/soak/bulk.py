"""Bulk work: `lookalike index` on new photos, run after run, each as fast as it is let (a closed loop)."""

import asyncio
import json
import random
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.bench.soak.call_log import Call
from tests.bench.soak.plan import PROJECT
from tests.bench.soak.servers import Site

_PHOTOS: Final = 40
"""Of a run: some seconds of work, so that runs begin in all states of the servers."""


class Bulk:
    """The runs.

    Attributes:
        indexed: images of all runs so far.
        runs: what became of each that has ended; its error is an exit code other than 0 with what it said last.
    """

    def __init__(self, here: Site, photos: Sequence[bytes], folder: Path) -> None:
        self.indexed = 0
        self.runs: list[Call] = []
        self._site, self._photos, self._folder = here, photos, folder
        self._dice = random.Random(1)  # noqa: S311 - no secret

    async def run_until(self, end: float) -> None:
        """Begin runs until this monotonic time."""
        while time.monotonic() < end:
            await self.run()

    async def run(self) -> None:
        """One run; the photos are gone afterwards, as nothing reads them again."""
        folder = self._folder / f"{len(self.runs):04}"
        folder.mkdir(parents=True)
        for number in range(_PHOTOS):
            photo = self._dice.choice(self._photos) + self._dice.randbytes(16)  # after its end, where no decoder looks
            (folder / f"{number:03}.jpg").write_bytes(photo)
        flags = ("--json", "--embedder", self._site.embedder.address, "--searcher", self._site.searcher.address)
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).parent / "lookalike",
            *("index", PROJECT, str(folder), *flags),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        shutil.rmtree(folder)
        self._note(began, process.returncode, output.decode().splitlines())

    def _note(self, began: float, code: int | None, lines: Sequence[str]) -> None:
        last = lines[-1] if lines else ""
        error = f"EXIT {code}: {last}" if code else ""
        self.runs.append(Call("lookalike index", began, time.monotonic(), error))
        if last.startswith("{"):
            self.indexed += json.loads(last).get("indexed", 0)
