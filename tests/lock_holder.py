"""A database connection that holds locks, so that others wait for them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.polling import until

if TYPE_CHECKING:
    import asyncpg


@dataclass
class LockHolder:
    """Another client of the database, who holds locks, and sees who waits for them."""

    connection: "asyncpg.Connection[Any]"
    _transaction: Any = None

    async def lock(self, project: str, *, tables: bool = False) -> None:
        """Hold what writers to the project need; or its images, which its readers need too."""
        self._transaction = self.connection.transaction()
        await self._transaction.start()
        statement = "SELECT id FROM lookalike_project WHERE name = $1 FOR UPDATE"
        project_id = await self.connection.fetchval(statement.removesuffix(" FOR UPDATE" if tables else ""), project)
        if tables:
            await self.connection.execute(f"LOCK TABLE p{project_id}.image IN ACCESS EXCLUSIVE MODE")

    async def unlock(self) -> None:
        await self._transaction.rollback()

    async def waiting(self) -> int:
        """How many wait for what we hold."""
        sql = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        return int(await self.connection.fetchval(sql))

    async def tables_of_others(self, schema: str) -> list[str]:
        """The schema's tables and indexes on which others hold a lock."""
        sql = (
            "SELECT relation::regclass::text FROM pg_locks JOIN pg_class ON pg_class.oid = relation"
            " WHERE relnamespace = $1::text::regnamespace AND granted AND pid <> pg_backend_pid()"
        )
        return [row[0] for row in await self.connection.fetch(sql, schema)]

    async def until_alone(self, schema: str) -> None:
        """Wait until others hold no lock of the schema: a transaction that ends gives back one lock after the other."""

        async def is_so() -> bool:
            return not await self.tables_of_others(schema)

        await until(is_so)

    async def until_waiting(self, count: int) -> None:
        async def is_so() -> bool:
            return await self.waiting() == count

        await until(is_so)
