"""Begin and undo transactions, in as few round trips as there can be."""

from contextlib import suppress
from typing import Final

import asyncpg

from lookalike_searcher.database import walking
from lookalike_searcher.database.connection import FAILURES, NET_SECONDS
from lookalike_searcher.database.statement import Connection
from lookalike_searcher.database.topology import Topology

WRITING: Final = "BEGIN"
READING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_NO_JIT: Final = "SET LOCAL jit = off; "


async def begin(
    connection: Connection, kind: str, topology: Topology, seconds: float, settings: str = "", condition: str = ""
) -> bool:
    """Begin a transaction, in one round trip unless it is on Citus. No setting outlives it.

    Args:
        connection: the connection.
        kind: WRITING or READING.
        topology: what the connection leads to.
        seconds: the most that one of its statements may take.
        settings: `SET LOCAL` statements, each ended by a semicolon.
        condition: a SELECT without parameters, which returns one row if the condition holds.

    Returns:
        Whether the condition holds: PostgreSQL says how many rows the last statement of a text returned.
    """
    opening = f"{kind}; {walking.USUAL if topology.keeps_settings else ''}{_NO_JIT if kind == READING else ''}"
    opening += f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}; "
    if topology.sharded:  # for each SET, Citus sends its whole text to workers, so nothing else may be in it
        texts = [f"{opening}SET LOCAL citus.propagate_set_commands = 'local'", settings, condition]
    else:
        texts = [f"{opening}{settings}{condition}"]
    status = ""
    for text in filter(None, texts):
        status = await connection.execute(text)
    return status == "SELECT 1"


async def roll_back(connection: Connection) -> None:
    """End the transaction of a connection.

    If that fails or is cancelled, end the connection, so that it is not used in this state.
    """
    try:
        await connection.execute("ROLLBACK", timeout=NET_SECONDS)  # which waits for a statement that is being cancelled
    except BaseException as error:
        with suppress(asyncpg.InterfaceError):  # it has been closed already
            connection.terminate()
        if not isinstance(error, FAILURES):
            raise
