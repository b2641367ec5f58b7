"""A searcher whose database is late, gone, or of a newer version."""

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike_searcher.config import Config
from lookalike_searcher.database import pool, startup
from lookalike_searcher.database.migration import UnusableDatabase
from lookalike_searcher.errors import DatabaseUnavailable
from lookalike_searcher.indexes.maintenance import Maintenance
from lookalike_searcher.metrics import Metrics
from tests import postgres
from tests.polling import until

NOWHERE = "postgresql://lookalike:hush@127.0.0.1:1/shop"
CONFIG = Config(data_dir=Path("unused"), maintenance_interval=0.1)


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[postgres.Postgres]:
    with postgres.primary() as server:
        yield server


def lines(caplog: pytest.LogCaptureFixture, least: int = logging.WARNING) -> list[str]:
    ours = [record for record in caplog.records if record.name.startswith("lookalike") and record.levelno >= least]
    assert not any(record.exc_info for record in ours)
    return [record.getMessage() for record in ours]


async def test_a_database_that_starts_later_is_waited_for(
    own_postgres: postgres.Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    own_postgres.stop()
    waiting = asyncio.create_task(startup.wait_until_reached(own_postgres.url, 60))

    async def told() -> bool:
        return bool(lines(caplog))

    await until(told)
    await asyncio.to_thread(own_postgres.start)
    await waiting
    [line] = lines(caplog)
    assert f"the database postgres on {own_postgres.data.parent} cannot be reached" in line
    assert "waiting for at most 60 s" in line


async def test_a_program_that_has_waited_in_vain_names_host_and_database_and_no_password() -> None:
    with pytest.raises(
        UnusableDatabase, match=r"database shop on 127\.0\.0\.1:1 cannot be reached: Connection refused"
    ) as told:
        await startup.wait_until_reached(NOWHERE, 0)
    assert "hush" not in str(told.value)


async def test_a_part_of_a_password_is_not_taken_for_the_host() -> None:
    with pytest.raises(ValueError, match="there is an @ behind the host"):
        await startup.wait_until_reached("postgresql://127.0.0.1:1/23@shop.example/shop", 0)


async def test_a_searcher_that_is_told_to_end_while_it_waits_ends_cleanly() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "lookalike_searcher", "--port", "0"),
        env={"DATABASE_URL": NOWHERE},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr
    assert b"waiting for at most" in await process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert (await process.stderr.read(), await process.wait()) == (b"", 0)


async def test_an_outage_is_told_once_and_so_is_its_end(
    own_postgres: postgres.Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asks meanwhile: calls, the health probe, maintenance."""
    async with pool.connect(own_postgres.url, pool_size=2, command_timeout=30) as database:
        maintenance = asyncio.create_task(Maintenance(CONFIG, database, Metrics()).run())
        await database.probe.ping()
        caplog.clear()
        own_postgres.stop()
        for _ in range(5):
            with pytest.raises(DatabaseUnavailable):
                await database.probe.ping()
            with pytest.raises(DatabaseUnavailable):
                async with database.reading():
                    pass
        await asyncio.to_thread(own_postgres.start)
        await database.probe.ping()
        maintenance.cancel()
        lost, back = lines(caplog)
        assert "the database is unavailable" in lost
        assert "the database answers again" in back
