"""Open, prepare and end single connections to PostgreSQL, and know their errors."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg

from lookalike_searcher.database import walking
from lookalike_searcher.database.migration import UnusableDatabase
from lookalike_searcher.database.outage import Outage
from lookalike_searcher.database.statement import statement
from lookalike_searcher.errors import DatabaseError, DatabaseTimeout, DatabaseUnavailable
from lookalike_serving import tracing

logger = logging.getLogger(__name__)

UNAVAILABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,  # the connection was lost before or during the call
    asyncpg.InternalClientError,  # the same, seen in the middle of the protocol
    asyncpg.OperatorInterventionError,  # PostgreSQL is starting, stopping, or was told to end the session
    asyncpg.TooManyConnectionsError,
    asyncpg.TransactionRollbackError,  # on a replica: what we read was vacuumed away on the primary
    asyncpg.InvalidCachedStatementError,  # another searcher has just migrated the schema
)
"""Connections raise these if another try may succeed."""
OVERTAKEN: Final = (asyncpg.UniqueViolationError, asyncpg.ForeignKeyViolationError)
"""PostgreSQL raises these if somebody has changed what we had read under a project's lock. On Citus that is a worker
that recovers a transaction: the coordinator had committed it and given up its locks."""
_WORKER_LOST: Final = "failure on connection marked as essential"
"""So Citus says that a worker has gone in the middle of a transaction, with the code of an internal error."""
FAILURES: Final = (asyncpg.PostgresError, *UNAVAILABLE)
"""Connections raise these, and nothing else."""
TIMEOUTS: Final = (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)
"""PostgreSQL raises these if a statement takes too long, or if an administrator cancels it."""
NET_SECONDS: Final = 5.0
"""We wait so much longer than PostgreSQL's own timeout for its answer. After that, the connection is dead."""
CONNECT_SECONDS: Final = 10.0
"""A new connection may take so long at most."""
ARRAYS: Final = ("bigint", "integer", "boolean", "bytea", "text", "date", "double precision", "halfvec")
"""Our statements take and return arrays of these."""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """Yield a single connection that also works behind a pooler. It raises asyncpg's errors."""
    connection = await asyncpg.connect(url, statement_cache_size=0, timeout=CONNECT_SECONDS)
    _look_types_up_quickly(connection)
    try:
        yield connection
    finally:
        await connection.close(timeout=NET_SECONDS)


def _look_types_up_quickly(connection: "asyncpg.Connection[Any]") -> None:
    """Let asyncpg look types up by our statement. There is no public way; `test_connection` holds that it works."""
    connection._intro_query = statement("types")  # type: ignore[attr-defined]


async def prepare(connection: "asyncpg.Connection[Any]") -> None:
    """Prepare a new connection: vectors go in and out as bytes, see `halfvec`.

    asyncpg looks types up when it first meets them, and switches `jit` off for that. We let it meet all our types here,
    in a transaction that is rolled back. Otherwise, behind a pooler, it might ask several servers, and leave one
    without jit.
    """
    _look_types_up_quickly(connection)
    transaction = connection.transaction()
    await transaction.start()
    try:
        row = await connection.fetchrow(
            "SELECT (SELECT nspname FROM pg_type JOIN pg_namespace ON pg_namespace.oid = typnamespace"
            " WHERE typname = 'halfvec' LIMIT 1), EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')"
        )
        schema, sharded = row or (None, False)
        if sharded:  # it would check each row that is read of the catalogues: seconds, with some dozens of projects
            await connection.execute("SET LOCAL citus.override_table_visibility = off")
        if schema is None:
            raise UnusableDatabase("PostgreSQL lacks pgvector's type halfvec")
        await connection.set_type_codec("halfvec", schema=schema, encoder=bytes, decoder=bytes, format="binary")
        met = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(ARRAYS, 1))
        await connection.fetchval(f"SELECT ({met})", *[[]] * len(ARRAYS))
    finally:
        await transaction.rollback()
    if tracing.is_on():
        connection.add_query_logger(_draw)


async def prepare_for_walks(connection: "asyncpg.Connection[Any]", *, timeout: float) -> None:
    """Prepare a new connection for searches of one statement too, which may take `timeout` seconds."""
    await prepare(connection)
    await connection.execute(f"{walking.SESSION}; SET statement_timeout = {round(timeout * 1000)}")


def _draw(ended: "asyncpg.connection.LoggedQuery") -> None:
    """Add a statement to the trace. asyncpg calls this in the context of the caller."""
    tracing.statement(ended.query, ended.elapsed, failed=ended.exception is not None)


async def keep(connection: "asyncpg.Connection[Any]") -> None:
    """Do nothing, instead of asyncpg's reset: our connections keep no state, and a reset costs a round trip."""


async def is_pooled(connection: "asyncpg.Connection[Any]") -> bool:
    """Return whether a pooler such as PgBouncer is between us and PostgreSQL, whose process number it hides."""
    return connection.get_server_pid() != int(await connection.fetchval("SELECT pg_backend_pid()::text"))


@contextmanager
def failures_translated(outage: Outage) -> Iterator[None]:
    """Translate what connections raise in the block into our errors; see `Database.connection`.

    Args:
        outage: is told whether the database was reached.
    """
    try:
        yield
        outage.answered()
    except Exception as error:
        raise_translated(error, outage)
        raise


def raise_translated(error: BaseException, outage: Outage) -> None:
    """Raise our error for one that a connection has raised, here alone; return for others, which stay as they are."""
    if isinstance(error, TIMEOUTS):
        raise DatabaseTimeout from error
    if isinstance(error, asyncpg.DataError):  # we passed an argument that the statement does not take
        logger.error("a statement does not take its arguments", exc_info=error)
        raise DatabaseError from error
    is_refusal = isinstance(error, asyncpg.PostgresError)
    if isinstance(error, UNAVAILABLE) or (is_refusal and _WORKER_LOST in str(error)):
        outage.lost(error)
        raise DatabaseUnavailable from error
    if isinstance(error, OVERTAKEN):
        logger.warning("somebody has changed what we had read, and the caller is to try again: %r", error)
        raise DatabaseUnavailable from error
    if is_refusal:
        logger.error("the database refused a statement", exc_info=error)
        raise DatabaseError from error
