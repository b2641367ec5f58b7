"""A project goes to a file as it is at one moment, and comes back as a whole or not at all."""

import asyncio
import json
import os
import sys
import uuid
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.backup.archive import UnusableBackup
from lookalike_searcher.backup.backup import TABLES, back_up
from lookalike_searcher.backup.restore import restore
from lookalike_searcher.database import migration
from lookalike_searcher.database.connection import connected
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, schema_of, vectors_of
from lookalike_searcher.errors import AlreadyExists
from lookalike_searcher.indexes import backfill
from lookalike_searcher.projects import registry
from tests.binary_copy import copied, rows
from tests.indexer import Writer, fingerprint, sha256, vector
from tests.lock_holder import LockHolder
from tests.polling import until

BASE, OWN, NEXT = "base-512", "base-own", "next-512"
IMAGES = 30
Rows = dict[str, list[str]]


@pytest.fixture
async def writer(searcher_channel: grpc.aio.Channel) -> AsyncIterator[Writer]:
    """A project that has of everything: a derived space, one that is half filled, feedback, limits, a deleted image.

    One image is featureless, one has a fingerprint, and two were said to be no duplicates.
    """
    stub, name = SearcherServiceStub(searcher_channel), f"backup-{uuid.uuid4().hex[:12]}"
    limits = wire.Limits(max_images=1000, max_hits=50, searches_per_second=7.3, max_batch=9)
    await stub.CreateProject(wire.CreateProjectRequest(name=name, space=BASE, limits=limits))
    writer = Writer(stub, name, BASE)
    requests = [writer.request(seed, product="shoe", labels={"größe": "a\tb\\"}) for seed in range(IMAGES + 1)]
    requests[4].embedding.featureless = True
    requests[5].file_size = 12_345
    for number in (2, IMAGES):
        requests[number].fingerprint.CopyFrom(fingerprint())
    await writer.send(*requests)
    await stub.DeleteImages(wire.DeleteImagesRequest(project=name, sha256s=[sha256(IMAGES)]))
    await stub.DismissDuplicates(wire.DismissDuplicatesRequest(project=name, sha256s=[sha256(1), sha256(2)]))
    matrix = np.eye(512, dtype=np.float32)[::-1]
    projection = wire.Projection(source=BASE, matrix=matrix.ravel(), centre=0.1 * vector(900))
    await stub.CreateSpace(wire.CreateSpaceRequest(project=name, space=OWN, projection=projection))
    await stub.CreateSpace(wire.CreateSpaceRequest(project=name, space=NEXT))
    found = await search(writer, name, 3)
    verdict = wire.HitVerdict(sha256=found.hits[0].sha256, rank=1, verdict=wire.VERDICT_CLICKED)
    said = wire.SearchFeedback(search_id=found.search_id, verdicts=[verdict])
    await stub.RecordFeedback(wire.RecordFeedbackRequest(project=name, searches=[said]))
    yield writer
    await stub.DeleteProject(wire.DeleteProjectRequest(name=name))


@pytest.fixture
async def copy(writer: Writer) -> AsyncIterator[str]:
    """A name to restore under."""
    name = f"{writer.project}-copy"
    yield name
    with suppress(grpc.aio.AioRpcError):  # where none was made
        await writer.stub.DeleteProject(wire.DeleteProjectRequest(name=name))


async def search(writer: Writer, project: str, seed: int, space: str = "") -> wire.SearchResponse:
    embedding = common.Embedding(space=BASE, values=vector(seed))
    return await writer.stub.Search(wire.SearchRequest(project=project, embedding=embedding, space=space, limit=20))


async def contents(database: Database, name: str) -> Rows:
    """Every row of the project's tables and of the registry's about it, with spaces by name instead of by id."""
    async with registry.reading(database, name) as (connection, project):
        tables = {table: table for table in TABLES}
        tables |= {space.name: vectors_of(space.id) for space in project.spaces}
        found = {
            kind: await texts(connection, f"SELECT t::text FROM {schema_of(project.id)}.{table} AS t ORDER BY 1")  # noqa: S608
            for kind, table in tables.items()
        }
        about = f"FROM lookalike_project AS p JOIN lookalike_space AS s ON s.project_id = p.id AND p.id = {project.id}"
        found["project"] = await texts(connection, f"SELECT DISTINCT (to_jsonb(p) - 'id' - 'name')::text {about}")
        found["spaces"] = await texts(
            connection,
            "SELECT (to_jsonb(s) - 'id' - 'project_id')::text"
            " || coalesce((to_jsonb(m) - 'space_id' - 'source_id')::text"
            f" || source.name, '') {about} LEFT JOIN lookalike_projection AS m ON m.space_id = s.id"
            " LEFT JOIN lookalike_space AS source ON source.id = m.source_id ORDER BY s.name",
        )
    return found


async def texts(connection: Connection, sql: str) -> list[str]:
    return [row[0] for row in await connection.fetch(sql)]


async def test_a_project_comes_back_as_it_was(
    writer: Writer, copy: str, database: Database, database_url: str, tmp_path: Path
) -> None:
    await backfill.fill(database, writer.project, OWN)
    await writer.stub.UpdateProject(
        wire.UpdateProjectRequest(name=writer.project, search_disabled=True, tuning_policy=wire.TUNING_POLICY_AUTO)
    )
    async with connected(database_url) as connection:
        await connection.execute(
            "INSERT INTO lookalike_impression SELECT id, '2026-01-02', 77 FROM lookalike_project WHERE name = $1",
            writer.project,
        )
    before = await contents(database, writer.project)
    assert all(before[table] for table in (*TABLES, BASE, OWN, "spaces"))
    await back_up(database, writer.project, tmp_path / "b")
    restored = await restore(database, tmp_path / "b", copy)
    assert await contents(database, copy) == before
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    async with connected(database_url) as connection:
        counted = "SELECT count FROM lookalike_impression WHERE project_id = $1 AND day = '2026-01-02'"
        assert await connection.fetchval(counted, restored.id) == 77
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", f"p{restored.id}")
    assert {row[0] for row in tables} == {*TABLES, *(vectors_of(space.id) for space in restored.spaces)}


async def test_what_is_restored_is_searched_and_written_to_as_before(
    writer: Writer, copy: str, database: Database, tmp_path: Path
) -> None:
    await back_up(database, writer.project, tmp_path / "b")
    await restore(database, tmp_path / "b", copy)
    await backfill.fill(database, writer.project, OWN)
    await backfill.fill(database, copy, OWN)
    for seed in (1, 500):
        for space in ("", OWN):
            expected, found = [await search(writer, name, seed, space) for name in (writer.project, copy)]
            assert [hit.SerializeToString() for hit in found.hits] == [hit.SerializeToString() for hit in expected.hits]
            assert len(found.hits) == 20
    other = Writer(writer.stub, copy, BASE)
    assert await other.send(other.request(700)) == [wire.INDEX_STATUS_INDEXED]
    assert (await search(writer, copy, 700, OWN)).hits[0].sha256 == sha256(700)
    assert await other.counts() == (IMAGES + 1, IMAGES + 1)
    assert await writer.counts() == (IMAGES, IMAGES)


async def test_a_backup_under_writers_is_of_one_moment(
    writer: Writer, copy: str, database: Database, tmp_path: Path
) -> None:
    """Restoring refuses a file in which counts, images and vectors are of different moments."""
    written = 0

    async def write() -> None:
        nonlocal written
        while True:
            await writer.send(*(writer.request(1000 + written + more) for more in range(5)))
            written += 5

    writing = asyncio.create_task(write())
    for attempt in range(4):
        await until(lambda: asyncio.sleep(0, written > attempt * 10))  # noqa: B023
        await back_up(database, writer.project, tmp_path / "b")
    writing.cancel()
    await asyncio.wait({writing})
    restored = await restore(database, tmp_path / "b", copy)
    assert IMAGES + 30 <= restored.image_count <= IMAGES + written + 5


async def test_a_backup_that_does_not_fit_together_fails_when_it_is_made(
    writer: Writer, database: Database, tmp_path: Path
) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE lookalike_project SET image_count = image_count + 1 WHERE name = $1", writer.project
        )
    with pytest.raises(UnusableBackup, match=f"image should have {IMAGES + 1} rows, got {IMAGES}"):
        await back_up(database, writer.project, tmp_path / "b")
    assert not os.listdir(tmp_path)


async def test_where_the_project_is_on_a_worker_writers_wait_until_both_snapshots_are_taken(
    writer: Writer, database: Database, lock_holder: LockHolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "sharded", True)
    await lock_holder.lock(writer.project)  # as a writer does
    saving = asyncio.create_task(back_up(database, writer.project, tmp_path / "b"))
    await lock_holder.until_waiting(1)
    await lock_holder.unlock()
    await saving


async def test_a_name_that_is_taken_is_refused(writer: Writer, database: Database, tmp_path: Path) -> None:
    await back_up(database, writer.project, tmp_path / "b")
    before = await contents(database, writer.project)
    with pytest.raises(AlreadyExists, match="exists already"):
        await restore(database, tmp_path / "b")
    assert await contents(database, writer.project) == before


def flipped(file: Path) -> None:
    """A bit of a vector is another one."""
    with zipfile.ZipFile(file) as archive:
        member = next(info for info in archive.infolist() if info.filename.startswith("vector_"))
    data = bytearray(file.read_bytes())
    data[member.header_offset + 2000] ^= 1
    file.write_bytes(data)


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """The file with another manifest."""

    def edit(file: Path) -> None:
        with zipfile.ZipFile(file) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        manifest = json.loads(members["manifest.json"])
        change(manifest)
        members["manifest.json"] = json.dumps(manifest).encode()
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)

    return edit


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (flipped, "damaged"),
        (cut_off, "is no backup of a project, or is damaged"),
        (edited(lambda found: found["project"].update(image_count=9)), "image should have 9 rows"),
        (edited(lambda found: found["project"].update({"1); DROP TABLE x; --": 1})), "lookalike_project has no column"),
        (edited(lambda found: found.pop("tables")), "is no backup of a project, or is damaged"),
        (edited(lambda found: found.update(format=2)), "format 2"),
        (edited(lambda found: found["project"].update(schema_version=999)), "newer than this program's"),
        (edited(lambda found: found.update(registry_version=999)), "newer than this program's"),
    ],
)
async def test_a_file_that_is_broken_or_newer_leaves_nothing(
    writer: Writer, copy: str, database: Database, tmp_path: Path, spoil: Callable[[Path], None], why: str
) -> None:
    await back_up(database, writer.project, tmp_path / "b")
    spoil(tmp_path / "b")
    schemas = "SELECT count(*) FROM pg_namespace"
    async with database.connection() as connection:
        before = await connection.fetchval(schemas)
    with pytest.raises(UnusableBackup, match=why):
        await restore(database, tmp_path / "b", copy)
    async with database.connection() as connection:
        assert await connection.fetchval(schemas) == before
        assert not await connection.fetchval("SELECT true FROM lookalike_project WHERE name = $1", copy)


async def test_a_backup_of_an_older_version_is_brought_up_to_date(
    writer: Writer, copy: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await back_up(database, writer.project, tmp_path / "b")
    steps = migration.migrations
    added = migration.Migration(len(steps("project")) + 1, "ALTER TABLE {schema}.image ADD COLUMN note text")
    monkeypatch.setattr(
        migration, "migrations", lambda kind: (*steps(kind), added) if kind == "project" else steps(kind)
    )
    restored = await restore(database, tmp_path / "b", copy)
    async with database.connection() as connection:
        assert await connection.fetchval(f"SELECT count(*) FROM p{restored.id}.image WHERE note IS NULL") == IMAGES  # noqa: S608
        version = "SELECT schema_version FROM lookalike_project WHERE name = $1"
        assert await connection.fetchval(version, copy) == added.number


async def test_a_backup_from_before_there_were_fingerprints_and_dismissals_is_restored(
    writer: Writer, copy: str, database: Database, tmp_path: Path
) -> None:
    await back_up(database, writer.project, tmp_path / "b")
    later = ("fingerprint", "dismissal")
    with zipfile.ZipFile(tmp_path / "b") as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name not in later}
    manifest = json.loads(members["manifest.json"])
    manifest["project"]["schema_version"] = 6
    for table in later:
        del manifest["tables"][table]
    columns = manifest["tables"]["image"]["columns"]
    size = columns.index("file_size")
    del columns[size]
    members["image"] = copied([row[:size] + row[size + 1 :] for row in rows(members["image"])])
    with zipfile.ZipFile(tmp_path / "b", "w") as archive:
        for name, data in (members | {"manifest.json": json.dumps(manifest).encode()}).items():
            archive.writestr(name, data)
    await restore(database, tmp_path / "b", copy)
    restored, before = await contents(database, copy), await contents(database, writer.project)
    assert [(len(before.pop(table)), restored.pop(table)) for table in later] == [(1, []), (1, [])]
    before["image"] = [row.replace(",12345)", ",0)") for row in before["image"]]  # sizes of files are of version 8, too
    assert restored == before


async def test_the_commands_work_beside_a_searcher_and_one_that_is_killed_leaves_nothing(
    writer: Writer, copy: str, database: Database, database_url: str, tmp_path: Path
) -> None:
    program = (sys.executable, "-m", "lookalike_searcher", "--database-url", database_url)
    file = str(tmp_path / "b")
    told = await run(*program, "backup", writer.project, file)
    assert told == (0, f"backed up {writer.project}: {IMAGES} images, {IMAGES} references\n", "")
    async with connected(database_url) as blocker, connected(database_url) as watcher:
        blocking = blocker.transaction()
        await blocking.start()  # its tables are full by the time that it comes to this one
        await blocker.execute("LOCK TABLE lookalike_projection IN ACCESS EXCLUSIVE MODE")
        process = await asyncio.create_subprocess_exec(*program, "restore", file, "--as", copy)
        waiting = "SELECT count(*) {} FROM pg_locks WHERE relation = 'lookalike_projection'::regclass AND NOT granted"
        ended = asyncio.create_task(process.wait())

        async def waits_or_ended() -> bool:
            return ended.done() or await watcher.fetchval(waiting.format("= 1"))

        await until(waits_or_ended)
        assert not ended.done(), "the restore failed"
        process.kill()
        await process.wait()
        await blocking.rollback()
        await until(lambda: watcher.fetchval(waiting.format("= 0")))
    code, _, error = await run(*program, "backup", copy, file)
    assert (code, error) == (1, f"lookalike-searcher: project {copy!r} does not exist\n")
    through = f"{' '.join(program)} backup {writer.project} - | {' '.join(program)} restore - --as {copy}"
    code, output, errors = await run("bash", "-o", "pipefail", "-c", through)  # as between containers
    assert (code, output) == (0, f"restored {copy}: {IMAGES} images, {IMAGES} references\n")
    assert errors == f"backed up {writer.project}: {IMAGES} images, {IMAGES} references\n"


async def run(*command: str) -> tuple[int | None, str, str]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    stdout, stderr = await process.communicate()
    return process.returncode, stdout.decode(), stderr.decode()
