"""`lookalike index` as its users run it: from a terminal, from scripts, in jobs."""

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from lookalike import Client
from lookalike.processes import ServerProcess, running
from tests.command_line import CommandLine, Done
from tests.data_dir import initialised
from tests.pictures import jpeg
from tests.polling import until

LOOKALIKE = str(Path(sys.executable).parent / "lookalike")


@dataclass
class Shop:
    """A project of its own, a folder to work in, and the command."""

    commands: CommandLine
    client: Client
    folder: Path
    project: str
    environment: dict[str, str]

    @property
    def failures(self) -> Path:
        return self.folder / f"{self.project}-failures.jsonl"

    def write(self, numbers: Sequence[int]) -> None:
        """Pictures, as files."""
        photos = self.folder / "photos"
        photos.mkdir(exist_ok=True)
        for number in numbers:
            (photos / f"{number}.jpg").write_bytes(jpeg(64 + number // 400, 20 + number % 400))

    async def started(
        self, *arguments: str, stdin: int | None = None, **environment: str
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(LOOKALIKE, "index", self.project, *arguments),
            cwd=self.folder,
            env={**os.environ, **self.environment, **environment},
            stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def index(self, *arguments: str, **environment: str) -> Done:
        """Run the command to its end."""
        words, variables = ("index", self.project, *arguments), self.environment | environment
        return await asyncio.to_thread(self.commands.run, *words, folder=self.folder, environment=variables)

    async def index_given(self, rows: str, *flags: str) -> Done:
        """Run it on a manifest in its standard input."""
        process = await self.started("-", *flags, stdin=asyncio.subprocess.PIPE)
        output, errors = await process.communicate(rows.encode())
        return ended(process, output, errors)

    async def counts(self) -> tuple[int, int]:
        found = await self.client.get_project(self.project)
        return found.image_count, found.reference_count

    async def references(self) -> list[str]:
        """The names of the files that are indexed."""
        images = [image async for image in self.client.list_images(self.project)]
        return sorted(Path(one.uri).name for image in images for one in image.references)


def ended(process: asyncio.subprocess.Process, output: bytes, errors: bytes) -> Done:
    assert process.returncode is not None
    return Done(process.returncode, output.decode(), errors.decode())


@pytest.fixture(scope="module")
async def embedder() -> AsyncIterator[ServerProcess]:
    async with running("tests.thumbnail_embedder", ["--port", "0"]) as server:
        yield server


@pytest.fixture(scope="module")
async def searcher(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    flags = ["--port", "0", "--data-dir", str(initialised(tmp_path_factory.mktemp("searcher")))]
    async with running("lookalike_searcher", flags) as server:
        yield server


@pytest.fixture
async def shop(
    commands: CommandLine, embedder: ServerProcess, searcher: ServerProcess, tmp_path: Path
) -> AsyncIterator[Shop]:
    async with Client(embedder.address, searcher.address) as client:
        project = f"shop-{uuid.uuid4().hex[:8]}"
        await client.create_project(project)
        environment = {"LOOKALIKE_EMBEDDER": embedder.address, "LOOKALIKE_SEARCHER": searcher.address}
        yield Shop(commands, client, tmp_path, project, environment)
        await client.delete_project(project)


async def test_a_folder_is_indexed_and_what_is_broken_can_be_fed_back_in_when_it_is_mended(shop: Shop) -> None:
    """There is a file of failures only if there are any."""
    shop.write(range(5))
    done = await shop.index("photos")
    assert (done.code, done.errors) == (0, "")
    assert "5 indexed, 0 unchanged, 0 failed" in done.output
    assert not shop.failures.exists()

    broken = [shop.folder / "photos" / f"broken-{number}.jpg" for number in range(7)]
    for path in broken:
        path.write_text("no image")
    done = await shop.index("photos", "--product-from", "folder")
    assert done.code == 1
    assert "5 indexed, 0 unchanged, 7 failed" in done.output
    assert "UNSUPPORTED_FORMAT: 7" in done.errors
    assert "… and 2 more" in done.errors
    assert shop.failures.name in done.errors
    rows = [json.loads(line) for line in shop.failures.read_text().splitlines()]
    assert sorted(row["uri"] for row in rows) == sorted(path.as_uri() for path in broken)
    assert {(row["_reason"], row["product"]) for row in rows} == {("UNSUPPORTED_FORMAT", "photos")}

    for path in broken[:4]:
        path.write_bytes(jpeg(30, 31))
    done = await shop.index(shop.failures.name)
    assert done.code == 1
    assert "4 indexed, 0 unchanged, 3 failed" in done.output
    assert await shop.counts() == (6, 14)


async def test_a_list_of_failures_that_is_fed_back_in_loses_none_of_its_rows(shop: Shop) -> None:
    """Though the new ones go where the old ones are being read."""
    missing = [f"{shop.folder.as_uri()}/{number:05}/{'x' * 50}.jpg" for number in range(3000)]
    shop.failures.write_text("".join(json.dumps({"uri": uri}) + "\n" for uri in missing))
    done = await shop.index(shop.failures.name)
    assert done.code == 1
    assert "3,000 images" in done.output
    [written] = shop.folder.glob("*failures*.jsonl")
    assert sorted(json.loads(line)["uri"] for line in written.read_text().splitlines()) == missing


async def test_what_cannot_run_says_why_and_exits_with_2(shop: Shop) -> None:
    shop.write(range(1))
    (shop.folder / "list.csv").write_text("url\n1.jpg\n")
    (shop.folder / "empty.csv").write_text("uri\n")
    (shop.folder / "binary.jsonl").write_bytes(b"\xff\xd8" * 1000)
    commands: dict[tuple[str, ...], str] = {
        ("nowhere",): "nowhere does not exist",
        ("list.csv",): "no column `uri`; its columns are url",
        ("binary.jsonl",): "is not a valid manifest",
        ("empty.csv",): "there are no images",
        ("nothing-*.jpg",): "there are no images",
        ("photos", "--shard", "2/2"): "a shard is one of 0 to n-1 of n",
        ("photos", "--failures", "no/folder/failures.jsonl"): "no/folder",
        ("photos", "--searcher", "127.0.0.1:1"): "lookalike up",
    }
    done = await asyncio.gather(*(shop.index(*arguments) for arguments in commands))
    for one, said in zip(done, commands.values(), strict=True):
        assert one.code == 2, one
        assert said in one.errors.replace("\n", " ")
        assert "Traceback" not in one.errors
    assert await shop.counts() == (0, 0)


async def test_events_are_json_and_add_up(shop: Shop) -> None:
    shop.write(range(20))
    rows = [f"photos/{number}.jpg,hat" for number in range(22)]
    (shop.folder / "list.csv").write_text("\n".join(["uri,product", *rows, "", "photos/1.jpg,hat,more"]))
    done = await shop.index("list.csv", "--json")
    assert done.code == 1
    failed = [event for event in done.events if event["event"] == "failed"]
    assert sorted(event["reason"] for event in failed) == ["INVALID_ROW", "UNREADABLE", "UNREADABLE"]
    report = done.event("report")
    assert (report["indexed"], report["unchanged"], report["failed"]) == (20, 0, 3)
    assert report["reasons"] == {"UNREADABLE": 2, "INVALID_ROW": 1}
    assert report["failures"] == shop.failures.name
    assert not report["interrupted"]

    again = (await shop.index("list.csv", "--json")).event("report")
    assert (again["indexed"], again["unchanged"], again["failed"]) == (0, 20, 3)


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(shop: Shop) -> None:
    shop.write(range(4))
    await shop.index("photos")
    (shop.folder / "photos/0.jpg").unlink()
    (shop.folder / "photos/1.jpg").write_bytes(jpeg(90, 91))
    shop.write([7])
    before = await shop.client.get_project(shop.project)
    done = await shop.index("photos", "--sync", "--dry-run", "--json")
    assert done.code == 0
    counts = {"new": 1, "changed": 1, "unchanged": 2, "failed": 0, "deleted": 1}
    assert done.event("plan") == {"event": "plan", **counts, "passedOver": {}, "notes": {}}
    assert {(event["change"], Path(event["uri"]).name) for event in done.events if event["event"] == "item"} == {
        *(("new", "7.jpg"), ("changed", "1.jpg"), ("deleted", "0.jpg"))
    }
    told = await shop.index("photos", "--dry-run")
    assert "would be: 1 new, 1 changed, 2 unchanged, 0 failed" in told.output
    assert await shop.client.get_project(shop.project) == before


async def test_sync_deletes_what_the_sources_lack_but_not_more_than_half_unless_it_is_meant(shop: Shop) -> None:
    shop.write(range(10))
    await shop.index("photos")
    for number in range(6):
        (shop.folder / f"photos/{number}.jpg").unlink()
    (shop.folder / "torn.csv").write_text("uri\nphotos/9.jpg\nphotos/8.jpg,more\n")
    refused = await shop.index("photos", "--sync")
    torn = await shop.index("torn.csv", "--sync", "--yes")
    assert (refused.code, torn.code) == (2, 2)
    assert "6 of 10 references would be deleted" in refused.errors
    assert "nothing is deleted" in torn.errors
    assert await shop.counts() == (10, 10)

    within = await shop.index("photos", "--sync", "--within", (shop.folder / "photos/5").as_uri(), "--json")
    assert (within.code, within.event("deleted")["references"]) == (0, 1)
    assert "5.jpg" not in await shop.references()
    meant = await shop.index("photos", "--sync", "--yes")
    assert meant.code == 0
    assert "5 references deleted" in meant.output
    assert await shop.references() == [f"{number}.jpg" for number in range(6, 10)]


async def test_what_cannot_be_looked_at_is_a_failure_and_deletes_nothing(shop: Shop) -> None:
    """A share that is not mounted has not lost its photos."""
    shop.write(range(4))
    share, link = shop.folder / "share", shop.folder / "photos/shared.jpg"
    share.mkdir()
    (shop.folder / "photos/3.jpg").rename(share / "3.jpg")
    link.symlink_to(share / "3.jpg")
    (shop.folder / "photos/film.mp4").touch()
    assert "1 file passed over: .mp4 1" in (await shop.index("photos")).errors
    share.rename(shop.folder / "unmounted")
    (shop.folder / "photos/loop.jpg").symlink_to(shop.folder / "photos/loop.jpg")
    done = await shop.index("photos", "--sync", "--yes", "--json")
    assert done.code == 2
    assert "nothing is deleted" in done.errors
    report = done.event("report")
    assert (report["unchanged"], report["reasons"], report["passedOver"]) == (3, {"UNREADABLE": 2}, {".mp4": 1})
    assert f"it is a link to {share}/3.jpg" in shop.failures.read_text()
    assert await shop.references() == ["0.jpg", "1.jpg", "2.jpg", "shared.jpg"]


async def interrupted(shop: Shop, number: signal.Signals, *arguments: str) -> Done:
    """Let the command index a part of the photos, and end it so."""
    process = await shop.started(*arguments)

    async def some() -> bool:
        return (await shop.counts())[0] > 0

    await until(some)
    process.send_signal(number)
    return ended(process, *await process.communicate())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_run_that_is_interrupted_says_how_to_go_on_and_goes_on(shop: Shop, number: signal.Signals) -> None:
    """It cannot end before, as the host of one of its images does not answer until it is interrupted."""
    interruption = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await interruption.wait()
        data = jpeg(30, 31)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data))
        writer.close()

    shop.write(range(100))
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        late = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/late.jpg"
        rows = [late, *(f"photos/{number}.jpg" for number in range(100))]
        (shop.folder / "list.csv").write_text("\n".join(["uri", *rows]))
        done = await interrupted(shop, number, "list.csv")
        interruption.set()
        assert done.code == 130
        assert "same command" in done.errors
        assert "Traceback" not in done.errors
        images, _ = await shop.counts()
        assert 0 < images <= 100
        assert not shop.failures.exists()
        again = (await shop.index("list.csv", "--json")).event("report")
    assert again["indexed"] + again["unchanged"] == 101
    assert again["unchanged"] >= images
    assert await shop.counts() == (101, 101)


async def test_one_who_waits_for_standard_input_can_be_interrupted(shop: Shop) -> None:
    shop.write(range(1))
    process = await shop.started("-", stdin=asyncio.subprocess.PIPE)
    assert process.stdin
    process.stdin.write(b"photos/0.jpg\n" * 10_000)
    await process.stdin.drain()

    async def some() -> bool:
        return (await shop.counts())[0] > 0

    await until(some)
    process.send_signal(signal.SIGINT)
    assert process.stderr
    errors = (await process.stderr.read()).decode()
    assert await process.wait() == 130
    assert "Fatal" not in errors
    assert "Traceback" not in errors


async def test_standard_input_is_a_manifest(shop: Shop) -> None:
    shop.write(range(12))
    rows = "".join(f"photos/{number}.jpg,{number}\n" for number in range(12))
    torn = await shop.index_given(f"\ufeffuri,product\n{rows}bad,row,here\n", "--sync")
    assert torn.code == 2, "a row that cannot be taken keeps --sync from deleting"
    assert "12 indexed, 0 unchanged, 1 failed" in torn.output
    assert await shop.counts() == (12, 12)
    listed = await shop.index_given("".join(f"./photos/{number}.jpg\n" for number in range(12)))
    assert listed.code == 0
    assert await shop.counts() == (12, 24), "of the same files, for no product"


async def test_repeated_rows_are_one_reference_and_a_rerun_is_quiet(shop: Shop) -> None:
    """The first row counts, and of each other one it is said which that is."""
    shop.write(range(2))
    (shop.folder / "list.csv").write_text(
        "uri,product,size\n"
        + "".join(f"photos/0.jpg,hat,{size}\n" for size in (40, 41, 42))
        + "photos/1.jpg,hat,40\nphotos/1.jpg,hat,40\n"
    )
    for status in ("indexed", "unchanged"):
        done = await shop.index("list.csv", "--json")
        report = done.event("report")
        assert (report[status], report["failed"], report["notes"]) == (2, 0, {"ROW_REPEATED": 3})
        notes = [event["message"] for event in done.events if event["event"] == "noted"]
        assert "list.csv:3: it names the same uri, product and variant, and other labels as in list.csv:2" in notes[0]
        assert "list.csv:6: it names the same as in list.csv:5" in notes[2]
    assert await shop.counts() == (2, 2)
    planned = (await shop.index("list.csv", "--json", "--dry-run")).event("plan")
    assert (planned["unchanged"], planned["notes"]) == (2, {"ROW_REPEATED": 3})
    strict = await shop.index("list.csv", "--json", "--strict")
    assert strict.code == 1
    assert strict.event("report")["reasons"] == {"ROW_REPEATED": 3}
    text = await shop.index("list.csv")
    assert "ROW_REPEATED: 3" in text.errors


async def test_an_indexed_jobs_pods_take_their_shares(shop: Shop) -> None:
    """A share without any images is no failure: the job would be started again and again."""
    shop.write(range(60))
    job = {"LOOKALIKE_SHARDS": "3"}
    done = await asyncio.gather(
        *(shop.index("photos", "--json", JOB_COMPLETION_INDEX=str(pod), **job) for pod in range(3))
    )
    shares = [one.event("report")["indexed"] for one in done]
    assert sum(shares) == 60
    assert all(shares)
    assert await shop.counts() == (60, 60)
    for path in (shop.folder / "photos").iterdir():
        path.unlink()
    shop.write([0])
    codes = [(await shop.index("photos", "--shard", f"{index}/2")).code for index in range(2)]
    assert codes == [0, 0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_run_ends_when_it_is_told_to_though_a_manifests_host_does_not_answer(
    shop: Shop, number: signal.Signals
) -> None:
    asked, over = asyncio.Event(), asyncio.Event()

    async def stall(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await over.wait()
        writer.close()

    async with await asyncio.start_server(stall, "127.0.0.1", 0) as server:
        process = await shop.started(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/list.csv")
        await asyncio.wait_for(asked.wait(), 60)
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 60) == 130
        over.set()


async def test_a_pipe_and_a_file_that_a_manifest_from_elsewhere_names_fail_alone(shop: Shop) -> None:
    """Nothing of the file is in the report; and the list of failures, fed back in, reads it no more than before."""
    shop.write(range(2))
    (shop.folder / "secret.dat").write_text("hunter2 and more")
    os.mkfifo(shop.folder / "photos" / "pipe.jpg")
    files = [shop.folder / "secret.dat", shop.folder / "photos" / "0.jpg"]
    rows = "\n".join(["uri", *(file.as_uri() for file in files), f"simplecache::{files[1].as_uri()}", ""]).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(rows), rows))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/list.csv"
        done = await shop.index(url, "photos/pipe.jpg", "secret.dat", "--json")
    assert done.code == 1
    assert done.event("report")["reasons"] == {"URI_REFUSED": 3, "UNREADABLE": 1, "UNSUPPORTED_FORMAT": 1}
    assert "hunter" not in done.output + done.errors + shop.failures.read_text()
    again = (await shop.index(shop.failures.name, "--json")).event("report")
    assert again["reasons"] == {"URI_REFUSED": 3, "UNREADABLE": 1, "UNSUPPORTED_FORMAT": 1}
    assert await shop.counts() == (0, 0)
