"""Data directories of searchers whose PostgreSQL is there already: made once for a run of the tests, then copied.

`initdb` and all migrations take more of a processor than anything else at a searcher's first start. What that start
does itself is tested by `test_embedded_postgres`, and by those who start `lookalike up` on an empty folder.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

from lookalike_searcher.database import pool, postgres
from tests.once import made_once


def initialised(data: Path) -> Path:
    """Put a PostgreSQL into `data`, which may not be there yet, as a searcher leaves it that is stopped at once."""
    data.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", made_once("initialised", _make) / "postgres", data], check=True)  # noqa: S607
    return data


def _make(folder: Path) -> None:
    # in a process of its own, as gRPC's threads do not like how PostgreSQL is started as another user
    subprocess.run([sys.executable, "-m", __name__, folder], cwd=_ROOT, check=True, capture_output=True)


async def _migrated(url: str) -> None:
    async with pool.connect(url, pool_size=1, command_timeout=60):
        pass


_ROOT = Path(__file__).resolve().parents[1]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with postgres.embedded(folder) as server:
        asyncio.run(_migrated(server.url))
    # processes are killed here, but never the machine
    with (folder / "postgres" / "postgresql.conf").open("a") as settings:
        settings.write("fsync = off\n")
