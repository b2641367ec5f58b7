"""Tell the failures that end the program."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from lookalike.escape import escape_lines
from lookalike_searcher.backup.archive import UnusableBackup
from lookalike_searcher.database.migration import UnusableDatabase
from lookalike_serving.errors import DomainError

_FAILURES: Final = (
    UnusableDatabase,
    UnusableBackup,
    DomainError,  # no such project, or there is one
    asyncpg.PostgresError,  # wrong name, password or rights
    OSError,
    RuntimeError,  # the port is taken, or spans cannot be sent
)


@contextmanager
def failures_told() -> Iterator[None]:
    """End the program with one sentence if something goes wrong in the block."""
    try:
        yield
    except ValueError:  # whose message may hold what was taken for a port, and is the password
        raise SystemExit(
            "lookalike-searcher: DATABASE_URL or READ_DATABASE_URL is no URL of PostgreSQL; in its password, all but"
            " letters and digits must be percent-encoded"
        ) from None
    except _FAILURES as error:
        raise SystemExit(f"lookalike-searcher: {escape_lines(str(error))}") from error
    except (KeyboardInterrupt, asyncio.CancelledError):  # while it started
        raise SystemExit(130) from None
