"""Wait for PostgreSQL when a program starts: both may start at once, and PostgreSQL may take longer."""

import asyncio
import logging
import os
import random
import time
from errno import errorcode
from typing import Final
from urllib.parse import parse_qs, urlsplit

from lookalike_searcher.database.connection import UNAVAILABLE, connected
from lookalike_searcher.database.migration import UnusableDatabase

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 5.0


async def wait_until_reached(url: str, patience: float) -> None:
    """Connect until that succeeds, with growing pauses between the attempts.

    Args:
        url: a PostgreSQL connection URL.
        patience: so many seconds after the first attempt, no further one is made.

    Raises:
        UnusableDatabase: the patience has ended. The message names host and database.
        asyncpg.PostgresError: PostgreSQL answers and refuses us, for example our password.
        ValueError: the URL is none of PostgreSQL.
    """
    began, pause, told = time.monotonic(), _FIRST_PAUSE_SECONDS, False
    while True:
        try:
            async with connected(url):
                if told:
                    logger.info("the database is there")
                return
        except UNAVAILABLE as error:
            if isinstance(error, ValueError):  # asyncpg raises it for an invalid URL
                raise
            left = began + patience - time.monotonic()
            where = f"the {place_of(url)} cannot be reached: {_reason(error)}"
            if left <= 0:
                raise UnusableDatabase(f"{where}; gave up after {patience:g} s") from error
            if not told:
                logger.warning("%s; waiting for at most %g s", where, patience)
                told = True
        await asyncio.sleep(min(pause * random.uniform(0.5, 1), left))  # noqa: S311 - no secret
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _reason(error: Exception) -> str:
    number = error.errno or 0 if isinstance(error, OSError) else 0
    if number in errorcode:
        return os.strerror(number)  # without the address, in asyncio's own words
    return str(error) or "no answer"


def place_of(url: str) -> str:
    """Return what a URL names, without user and password: `database NAME on HOST:PORT`.

    Raises:
        ValueError: it may name a part of the password, of which a character should have been percent-encoded.
    """
    parts = urlsplit(url)
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        raise ValueError("there is an @ behind the host")
    options = parse_qs(parts.query)
    host = parts.netloc.rpartition("@")[2] or options.get("host", [""])[0] or os.environ.get("PGHOST", "localhost")
    name = parts.path.strip("/") or options.get("dbname", [""])[0] or os.environ.get("PGDATABASE", "")
    return f"database {name or '(by default)'} on {host}"
