"""A backup of somebody else's making comes back as a project that works, or is refused; memory stays bounded."""

import io
import itertools
import json
import math
import random
import struct
import tracemalloc
import uuid
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.backup import archive as archives
from lookalike_searcher.backup.archive import UnusableBackup
from lookalike_searcher.backup.backup import back_up
from lookalike_searcher.backup.restore import restore
from lookalike_searcher.backup.row_rules import column
from lookalike_searcher.database import halfvec as vectors
from lookalike_searcher.database.connection import connected
from lookalike_searcher.database.pool import Database
from tests.binary_copy import copied, rows
from tests.duration import SECONDS
from tests.indexer import Writer, fingerprint, vector

BASE, OWN = "base-512", "base-own"
Members = dict[str, bytes]
NEVER = struct.pack(">q", 2**63 - 1)
"""PostgreSQL's `infinity`."""


@pytest.fixture(scope="module")
async def members(
    searcher_channel: grpc.aio.Channel, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Members]:
    """What is in the backup of a small project that has of everything."""
    stub, name = SearcherServiceStub(searcher_channel), f"alien-{uuid.uuid4().hex[:12]}"
    await stub.CreateProject(wire.CreateProjectRequest(name=name, space=BASE))
    writer = Writer(stub, name, BASE)
    requests = [writer.request(seed, product="shoe", labels={"größe": "41"}) for seed in range(4)]
    requests[0].fingerprint.CopyFrom(fingerprint())
    await writer.send(*requests)
    projection = wire.Projection(source=BASE, matrix=np.eye(512, dtype=np.float32).ravel(), centre=0.1 * vector(900))
    await stub.CreateSpace(wire.CreateSpaceRequest(project=name, space=OWN, projection=projection))
    found = await search(stub, name)
    verdict = wire.HitVerdict(sha256=found.hits[0].sha256, rank=1, verdict=wire.VERDICT_CLICKED)
    said = wire.SearchFeedback(
        search_id=found.search_id,
        query_embedding=common.Embedding(space=BASE, values=vector(1)),
        verdicts=[verdict],
    )
    await stub.RecordFeedback(wire.RecordFeedbackRequest(project=name, searches=[said]))
    dismissed = [bytes([number]) * 32 for number in (1, 2)]
    await stub.DismissDuplicates(wire.DismissDuplicatesRequest(project=name, sha256s=dismissed))
    file = tmp_path_factory.mktemp("backup") / "b"
    await back_up(database, name, file)
    await stub.DeleteProject(wire.DeleteProjectRequest(name=name))
    with zipfile.ZipFile(file) as archive:
        yield {one: archive.read(one) for one in archive.namelist()}


async def search(stub: SearcherServiceStub, project: str) -> wire.SearchResponse:
    embedding = common.Embedding(space=BASE, values=vector(1))
    return await stub.Search(wire.SearchRequest(project=project, embedding=embedding, limit=20))


def packed(members: Members, file: Path) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file


async def refusal(database: Database, database_url: str, file: Path) -> str:
    """Why the file is not restored; nothing is left of it."""
    async with connected(database_url) as connection:
        before = await connection.fetchval("SELECT count(*) FROM pg_namespace")
        with pytest.raises(UnusableBackup) as caught:
            await restore(database, file, f"alien-{uuid.uuid4().hex[:12]}")
        assert await connection.fetchval("SELECT count(*) FROM pg_namespace") == before
    return str(caught.value)


def changed(members: Members, table: str, name: str, value: bytes | None) -> Members:
    """The members with another value in the first row of a table."""
    manifest = json.loads(members["manifest.json"])
    member = next(one for one in members if one.startswith(table))
    found = rows(members[member])
    found[0][manifest["tables"][member]["columns"].index(name)] = value
    return members | {member: copied(found)}


def halves(values: np.ndarray) -> bytes:
    [found] = vectors.encode(values.reshape(1, -1))
    return found


@pytest.mark.parametrize(
    ("table", "name", "value", "why"),
    [
        ("vector_", "vector", halves(np.zeros(512, np.float32)), "of length 1, within 1 %, got length 0"),
        ("vector_", "vector", halves(np.full(512, math.inf, np.float32)), "length inf"),
        ("vector_", "vector", halves(np.full(512, math.nan, np.float32)), "length nan"),
        ("vector_", "vector", struct.pack(">HH", 511, 0) + bytes(1022), "must be 512 numbers"),
        ("vector_", "image_id", struct.pack(">q", 2**62), "must be 1 to 9.0"),
        ("image_reference", "uri", b"", "must be 1 to 2048 bytes"),
        ("image_reference", "uri", b"u" * 2049, "must be 0 to 2048 bytes, got 2049"),
        ("image_reference", "uri", b"a\xff", "invalid start byte"),
        ("image_reference", "uri", b"a\0b", "must not contain the character NUL"),
        ("image_reference", "uri", b"\xed\xa0\x80", "can't decode"),
        ("image_reference", "product", None, "must be 0 to 256 bytes, got -1"),
        ("image_reference", "variant", b"v" * 257, "must be 0 to 256 bytes"),
        ("image_reference", "stamp", b"\0", "NUL"),
        ("image_reference", "staged", b"\2", "must be true or false"),
        ("image_reference", "labels", b"\1[]", "must be an object of texts"),
        ("image_reference", "labels", b'\1{"a": 1}', "must be an object of texts"),
        ("image_reference", "labels", b'\1{"": "a"}', "must be 1 to 64 bytes"),
        ("image_reference", "labels", b'\1{"a": "\\ud800"}', "surrogates not allowed"),
        ("image_reference", "labels", b'\1{"a": "\\u0000"}', "NUL"),
        ("image_reference", "labels", b"\1" + b"[" * 99_999, "labels|recursion"),
        (
            "image_reference",
            "labels",
            b"\1" + json.dumps({str(n): "" for n in range(65)}).encode(),
            "must be at most 64",
        ),
        ("image_reference", "labels", b"\2{}", "must be an object of texts"),
        ("image_reference", "id", struct.pack(">q", -1), "must be 1 to"),
        ("image_reference", "id", struct.pack(">q", 2**63 - 1), "must be 1 to"),
        ("image", "sha256", bytes(31), "must be 32 bytes"),
        ("image", "width", struct.pack(">i", 2**31 - 1), "must be 0 to 1e\\+06"),
        ("image", "create_time", NEVER, "create_time"),
        ("image", "create_time", struct.pack(">q", -(2**60)), "create_time"),
        ("feedback", "search_time", NEVER, "search_time"),
        ("feedback", "space", b"a b", "must be 1 to 128 letters"),
        ("feedback", "space", None, "must have both"),
        ("verdict", "rank", struct.pack(">i", 2**30), "must be 1 to 1e\\+06"),
        ("verdict", "is_right", b"yes", "got 3"),
        ("image", "file_size", struct.pack(">q", -1), "must be 0 to"),
        ("dismissal", "other_sha256", bytes(32), "check constraint"),
        ("fingerprint", "version", b"", "must be 1 to 128 letters"),
        ("fingerprint", "picture", b"GIF89a", "fingerprint.picture: must be a lossy WebP"),
        ("fingerprint", "keypoints", b"\0\0\0", "fingerprint.keypoints: must be a picture of 1 to 160 pixels"),
    ],
)
async def test_a_value_that_the_wire_would_refuse_is_refused(
    members: Members,
    database: Database,
    database_url: str,
    tmp_path: Path,
    table: str,
    name: str,
    value: bytes | None,
    why: str,
) -> None:
    file = packed(changed(members, table, name, value), tmp_path / "b")
    told = await refusal(database, database_url, file)
    assert_tells(told, why)


def assert_tells(told: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        raise ValueError(told)
    assert "damaged" in told
    assert len(told) < 1000


def put(*path: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    """What puts a value into a manifest."""

    def change(manifest: dict[Any, Any]) -> None:
        *way, last = path
        for step in way:
            manifest = manifest[step]
        manifest[last] = value

    return change


def matrix(values: np.ndarray) -> str:
    return "\\x" + values.astype("<f4").tobytes().hex()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (put("project", "space", value="a b"), "must be 1 to 128 letters"),
        (put("project", "name", value="DROP"), "lower-case letters"),
        (put("project", "name", value=["shop"]), "damaged"),
        (put("project", "max_hits", value=-1), "must be 0 to 1000"),
        (put("project", "max_images", value=2**62), "max_images: must be 0 to"),
        (put("project", "searches_per_second", value=math.nan), "must be 0 to"),
        (put("project", "searches_per_second", value=10**400), "damaged"),
        (put("project", "deleted_since_index", value=-5), "must be a whole number of 0"),
        (put("project", "create_time", value="infinity"), "must be a time"),
        (put("project", "update_time", value="0044-03-15 12:00:00+00 BC"), "must be a time"),
        (put("project", "image_count", value=True), "must be a whole number"),
        (put("project", "schema_version", value=-1), "must be a whole number"),
        (put("project", "schema_version", value="1"), "must be a whole number"),
        (put("registry_version", value=None), "must be a whole number"),
        (put("spaces", 0, "index_time", value="2026-01-01T00:00:00+00:00"), "has no column 'index_time'"),
        (put("spaces", 0, "name", value="x'; DROP TABLE y"), "must be 1 to 128 letters"),
        (put("spaces", 0, "id", value=1.5), "must be a whole number"),
        (put("spaces", 0, "complete", value=None), "must be true or false"),
        (put("spaces", value={}), "must be a list"),
        (lambda found: found["spaces"].append(found["spaces"][0]), "must not be there twice"),
        (lambda found: found["spaces"].extend([found["spaces"][0]] * 300), "must be at most 256"),
        (put("projections", 0, "matrix", value="\\x00"), "must be 1 to 4000 rows of 512 numbers"),
        (put("projections", 0, "matrix", value=matrix(np.eye(512)[:500])), r"must be of shape .*, got \(500, 512\)"),
        (put("spaces", 0, "dimensions", value=4001), "must be a whole number of 1 to 4000"),
        (put("spaces", 0, "dimensions", value=511), "must be of shape"),
        (put("projections", 0, "matrix", value=matrix(np.zeros(512 * 512))), "must be at least of rank"),
        (put("projections", 0, "centre", value=matrix(np.full(512, math.inf))), "must be finite"),
        (put("projections", 0, "source_id", value=7), "must be of a space"),
        (put("projections", 0, "filled_to", value=-1), "must be a whole number"),
        (put("impressions", value=[{"day": "infinity", "count": 1}]), "damaged"),
        (put("impressions", value=[{"day": "2026-01-01", "count": 2**63}]), "must be a whole number"),
        (put("impressions", value=[{"day": "2026-01-01", "count": 1}] * 2), "must not be there twice"),
        (put("tables", "image", "columns", value=["id", "id"]), "different columns"),
        (put("tables", "image", "columns", value=["id"]), "lacks the column"),
        (put("tables", "image", "rows", value=-4), "must be a whole number"),
        (put("tables", "pg_authid", value={"columns": ["rolname"], "rows": 0}), "tables: must be"),
    ],
)
async def test_a_manifest_that_the_wire_would_refuse_is_refused(
    members: Members,
    database: Database,
    database_url: str,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], None],
    why: str,
) -> None:
    manifest = json.loads(members["manifest.json"])
    change(manifest)
    file = packed(members | {"manifest.json": json.dumps(manifest).encode()}, tmp_path / "b")
    assert_tells(await refusal(database, database_url, file), why)


async def test_an_image_without_a_reference_is_refused(
    members: Members, database: Database, database_url: str, tmp_path: Path
) -> None:
    manifest = json.loads(members["manifest.json"])
    manifest["project"]["reference_count"] = manifest["tables"]["image_reference"]["rows"] = 3
    found = members | {
        "manifest.json": json.dumps(manifest).encode(),
        "image_reference": copied(rows(members["image_reference"])[1:]),
    }
    assert "has no reference" in await refusal(database, database_url, packed(found, tmp_path / "b"))


def with_huge_manifest(members: Members, file: Path) -> None:
    """A GiB of JSON, none of which is on the disk."""
    packed({name: data for name, data in members.items() if name != "manifest.json"} | {"manifest.json": b"x"}, file)
    data = bytearray(file.read_bytes())
    entry = data.rindex(b"PK\1\2")
    struct.pack_into("<II", data, entry + 20, 1 << 30, 1 << 30)
    file.write_bytes(data)


def with_compressed_manifest(_: Members, file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b" " * (32 << 20))


def with_huge_directory(_: Members, file: Path) -> None:
    """A file that says of its last GiB that it names its members. It is sparse."""
    with file.open("wb") as opened:
        opened.seek(1 << 30)
        opened.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 9, 9, 1 << 30, 0, 0))


def with_many_values(members: Members, file: Path) -> None:
    packed(members | {"manifest.json": b"[" + b"[]," * (2 << 20) + b"0]"}, file)


def with_deep_manifest(members: Members, file: Path) -> None:
    packed(members | {"manifest.json": b"[" * 400_000}, file)


def with_huge_field(members: Members, file: Path) -> None:
    """A reference that begins with an id of a GiB."""
    data = members["image_reference"][:19] + struct.pack(">hi", 8, 1 << 30) + bytes(1 << 20)
    packed(members | {"image_reference": data}, file)


def with_many_members(_: Members, file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(4_500):
            archive.writestr(f"{number:0240}", b"")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (with_huge_manifest, "its manifest has 1073741824 bytes, of 134217728 at most"),
        (with_compressed_manifest, "manifest.json is compressed"),
        (with_huge_directory, "it asks for 1073741824 bytes at once|bad"),
        (with_many_values, "its manifest has .* values, of 500000 at most"),
        (with_deep_manifest, "recursion"),
        (with_huge_field, "must be 0 to 8 bytes, got 1073741824|columns, not"),
        (with_many_members, "it asks for .* bytes at once"),
    ],
)
async def test_a_bomb_takes_no_memory(
    members: Members,
    database: Database,
    database_url: str,
    tmp_path: Path,
    spoil: Callable[[Members, Path], None],
    why: str,
) -> None:
    spoil(members, tmp_path / "b")
    tracemalloc.start()
    try:
        assert_tells(await refusal(database, database_url, tmp_path / "b"), why)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 40 << 20


def mutated(members: Members, dice: random.Random) -> bytes:
    """The backup with one thing wrong in it: its bytes, a member's bytes with a good checksum, or its manifest."""
    found, kind = dict(members), dice.randrange(4)
    if kind == 0:
        name = dice.choice(sorted(found))
        found[name] = spoilt(found[name], dice)
    elif kind == 1:
        table, name, value = dice.choice(VALUES)
        found = changed(found, table, name, value)
    elif kind == 2:
        manifest = json.loads(found["manifest.json"])
        spoil(manifest, dice)
        found["manifest.json"] = json.dumps(manifest).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in found.items():
            archive.writestr(name, data)
    return spoilt(buffer.getvalue(), dice) if kind == 3 else buffer.getvalue()


VALUES: list[tuple[str, str, bytes | None]] = [
    (table, name, value)
    for (table, names), value in itertools.product(
        {
            "image_reference": ("id", "image_id", "uri", "product", "variant", "staged", "labels", "stamp"),
            "image": ("id", "sha256", "width", "height", "create_time"),
            "vector_": ("image_id", "vector"),
            "feedback": ("id", "search_id", "search_time", "query_sha256", "space", "vector"),
            "verdict": ("search_id", "sha256", "rank", "is_right", "clicked", "update_time"),
        }.items(),
        [None, b"", b"\0", b"\1", b"\xff" * 8, struct.pack(">q", 5), bytes(16), bytes(32), b"\1{}", NEVER],
    )
    for name in names
]


def spoilt(data: bytes, dice: random.Random) -> bytes:
    """A byte is another one, or is missing, or comes twice, or all that follows is missing."""
    at, changed = dice.randrange(len(data)), bytearray(data)
    match dice.randrange(4):
        case 0:
            changed[at] = dice.randrange(256)
        case 1:
            del changed[at]
        case 2:
            changed.insert(at, changed[at])
        case _:
            del changed[at:]
    return bytes(changed)


def spoil(manifest: dict[str, Any], dice: random.Random) -> None:
    """Something in it is something else, or missing."""
    places = [(parent, key) for parent, key in _places(manifest) if key not in ("matrix", "centre")]
    parent, key = dice.choice(places)
    if dice.random() < 0.2:
        del parent[key]
    else:
        parent[key] = dice.choice(
            [None, True, 0, -1, 2**63, 1.5, "", "a\0b", "\ud800", [], {}, [[]], "9" * 99, 10**400]
        )


def _places(found: object) -> Iterator[tuple[Any, Any]]:
    keys = list(found) if isinstance(found, dict) else range(len(found)) if isinstance(found, list) else []
    for key in keys:
        yield found, key
        yield from _places(found[key])  # type: ignore[index] # it is one of those two


async def works(stub: SearcherServiceStub, project: str) -> None:
    """Everything that reads answers, and what writes is taken."""
    await search(stub, project)
    await stub.ListImages(wire.ListImagesRequest(project=project))
    await stub.ListReferences(wire.ListReferencesRequest(project=project))
    await stub.ListFeedback(wire.ListFeedbackRequest(project=project))
    await stub.GetProject(wire.GetProjectRequest(name=project))
    await stub.GetSearchQuality(wire.GetSearchQualityRequest(project=project))
    writer = Writer(stub, project, BASE)
    assert await writer.send(writer.request(77)) == [wire.INDEX_STATUS_INDEXED]


@pytest.mark.timeout(600 + 20 * SECONDS)
async def test_whatever_is_wrong_with_it_it_works_or_is_refused(
    members: Members, database: Database, searcher_channel: grpc.aio.Channel, tmp_path: Path
) -> None:
    stub, file, outcomes = SearcherServiceStub(searcher_channel), tmp_path / "b", {"works": 0, "refused": 0}
    for seed in range(max(16, round(8 * SECONDS))):
        name, dice = f"alien-{uuid.uuid4().hex[:12]}", random.Random(seed)  # noqa: S311 - no secret
        file.write_bytes(mutated(members, dice))
        try:
            await restore(database, file, name)
        except UnusableBackup:
            outcomes["refused"] += 1
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        try:
            await works(stub, name)
        except grpc.aio.AioRpcError as error:
            raise AssertionError(f"seed {seed}: {error.code()} {error.details()}") from error
        await stub.DeleteProject(wire.DeleteProjectRequest(name=name))
        outcomes["works"] += 1
    assert min(outcomes.values()) > 0, outcomes


async def test_every_column_has_a_rule(members: Members) -> None:
    """One that is added needs one, else backups that have it are refused."""
    for name, table in json.loads(members["manifest.json"])["tables"].items():
        for one in table["columns"]:
            assert column(name.partition("_")[0] if name.startswith("vector_") else name, one)


def test_a_manifest_that_could_not_be_restored_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MAX_MANIFEST_BYTES", 100)
    manifest = archives.Manifest(1, {"name": "x" * 100}, [], [], [], {})
    with pytest.raises(UnusableBackup, match="too many derived spaces"), archives.written(tmp_path / "b") as archive:
        archives.write_manifest(archive, manifest)
    assert not list(tmp_path.iterdir())
