"""Single connections to PostgreSQL: how they are made and ended, and what goes wrong with them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg

from lookalike_searcher.database.migration import UnusableDatabase
from lookalike_searcher.database.statement import Connection
from lookalike_serving import tracing

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
"""What connections raise when another try may succeed."""
FAILURES: Final = (asyncpg.PostgresError, *UNAVAILABLE)
"""All that they raise."""
TIMEOUTS: Final = (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)
"""PostgreSQL, or somebody there, has ended the statement."""
NET_SECONDS: Final = 5.0
"""How much longer than PostgreSQL's own timeout we wait for its answer: then the connection is dead."""
CONNECT_SECONDS: Final = 10.0
"""The most that a new connection may take."""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """A single connection, without anything that a pooler might upset; its errors are asyncpg's."""
    connection = await asyncpg.connect(url, statement_cache_size=0, timeout=CONNECT_SECONDS)
    try:
        yield connection
    finally:
        await connection.close(timeout=NET_SECONDS)


async def prepare(connection: "asyncpg.Connection[Any]") -> None:
    """Make a new connection ready: vectors go in and out as bytes, see `halfvec`.

    asyncpg looks types up when it first meets them, with `jit` off meanwhile. We let it meet all of ours here, in a
    transaction that is rolled back: behind a pooler it might else ask several servers, and leave the setting to one.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        schema = await connection.fetchval(
            "SELECT nspname FROM pg_type JOIN pg_namespace ON pg_namespace.oid = typnamespace WHERE typname = 'halfvec'"
        )
        if schema is None:
            raise UnusableDatabase("PostgreSQL lacks pgvector's type halfvec")
        await connection.set_type_codec("halfvec", schema=schema, encoder=bytes, decoder=bytes, format="binary")
        await connection.fetchval(
            "SELECT ($1::bigint[], $2::integer[], $3::boolean[], $4::bytea[], $5::text[])", *[[]] * 5
        )
    finally:
        await transaction.rollback()
    if tracing.is_on():
        connection.add_query_logger(_draw)


def _draw(ended: "asyncpg.connection.LoggedQuery") -> None:
    """Note a statement in the trace; asyncpg calls us in the context of who made it."""
    tracing.statement(ended.query, ended.elapsed, failed=ended.exception is not None)


async def roll_back(connection: Connection) -> None:
    """End the transaction; if that fails, or is cancelled, the connection, so that nobody gets it in this state."""
    try:
        await connection.execute("ROLLBACK", timeout=NET_SECONDS)  # which waits for a statement that is being cancelled
    except BaseException as error:
        with suppress(asyncpg.InterfaceError):  # it has been closed already
            connection.terminate()
        if not isinstance(error, FAILURES):
            raise


async def keep(connection: "asyncpg.Connection[Any]") -> None:
    """To reset a connection, as ours keep no state outside of transactions; asyncpg's way costs a round trip."""


async def is_pooled(connection: "asyncpg.Connection[Any]") -> bool:
    """Whether a pooler such as PgBouncer sits between us and PostgreSQL: it makes up the process number we are told."""
    return connection.get_server_pid() != int(await connection.fetchval("SELECT pg_backend_pid()::text"))
