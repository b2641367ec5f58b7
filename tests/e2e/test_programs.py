"""The console scripts as processes: started, used, killed, started again, stopped."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from lookalike import Client, Item, UnavailableError
from lookalike.processes import ServerFailed, ServerProcess, running, stop
from tests.command_line import CommandLine, Done
from tests.data_dir import initialised

BIN = Path(sys.executable).parent


async def up(data: Path, *, stderr: int) -> asyncio.subprocess.Process:
    """Start `lookalike up` on free ports."""
    return await asyncio.create_subprocess_exec(
        BIN / "lookalike",
        *("up", "--data-dir", str(data), "--embedder-port", "0", "--searcher-port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
    )


def postgres_of(data: Path) -> list[psutil.Process]:
    """The PostgreSQL servers, not their children, that run on the data directory."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        command = process.info["cmdline"] or []
        if process.info["name"] == "postgres" and str(data / "postgres") in command:
            found.append(process)
    return found


@pytest.fixture(scope="module")
async def embedder() -> AsyncIterator[ServerProcess]:
    """Whose model is quick: the real one serves in `lookalike up`, and in the demonstration."""
    async with running("tests.thumbnail_embedder", ["--port", "0"]) as server:
        yield server


@pytest.fixture(scope="module")
def searchers_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return initialised(tmp_path_factory.mktemp("searcher"))


@pytest.fixture(scope="module")
async def searcher(searchers_data: Path) -> AsyncIterator[ServerProcess]:
    async with running("lookalike_searcher", ["--port", "0", "--data-dir", str(searchers_data)]) as server:
        yield server


Run = Callable[..., Done]
"""Runs a command with the servers' addresses."""


@pytest.fixture
def lookalike(commands: CommandLine, addresses: dict[str, str]) -> Run:
    return partial(commands.run, environment=addresses)


@pytest.fixture
def addresses(embedder: ServerProcess, searcher: ServerProcess) -> dict[str, str]:
    return {"LOOKALIKE_EMBEDDER": embedder.address, "LOOKALIKE_SEARCHER": searcher.address}


def test_a_shop_is_indexed_and_searched_from_the_command_line(
    lookalike: Run, addresses: dict[str, str], photos: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "shoes"
    folder.mkdir()
    for photo in photos[:4]:
        (folder / photo.name).write_bytes(photo.read_bytes())
    (folder / "broken.jpg").write_text("no image")

    created = lookalike("project", "create", "shop")
    assert created.code == 0, created.errors
    indexed = lookalike("index", "shop", str(folder), "--product-from", "name")
    assert indexed.code == 1
    assert "5 images" in indexed.output
    assert "4 indexed, 0 unchanged, 1 failed" in indexed.output
    assert "UNSUPPORTED_FORMAT: 1" in indexed.errors
    assert "broken.jpg" in indexed.errors
    (folder / "broken.jpg").unlink()
    again = lookalike("index", "shop", str(folder), "--product-from", "name")
    assert again.code == 0
    assert "0 indexed, 4 unchanged, 0 failed" in again.output

    shown = lookalike("project", "show", "shop")
    assert "shop" in shown.output
    searched = lookalike("search", "shop", str(photos[1]), "--limit", "2", "--json")
    answer = json.loads(searched.output)
    assert answer["results"][0]["match"] == "exact"
    assert answer["results"][0]["references"][0]["product"] == photos[1].stem
    table = lookalike("search", "shop", photos[1].as_uri())
    titles, first = [line.split("\t") for line in table.output.splitlines()][:2]
    assert titles == ["rank", "similarity", "match", "product", "where"]
    stored = folder / photos[1].name
    assert first[2:] == ["exact", photos[1].stem, stored.resolve().as_uri()]
    assert "exact search over 4 images" in table.errors
    assert "could not be verified" not in table.errors
    with photos[1].open("rb") as photo_file:
        command = [BIN / "lookalike", "search", "shop", "-"]
        piped = subprocess.run(
            command, stdin=photo_file, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **addresses}
        )
    assert piped.stdout == table.output
    listed = lookalike("images", "shop", "--uri-prefix", f"{folder}/../shoes/")
    assert len(listed.output.splitlines()) == 4
    delete = ("delete", "shop", "--uri", f"{folder}/../shoes/{stored.name}", "--yes")
    assert lookalike(*delete).output == "references deleted: 1; images: 1\n"
    assert f"no reference has the URI {delete[3]} or {stored.resolve().as_uri()}" in lookalike(*delete).errors

    assert lookalike("project", "delete", "shop", "--yes").code == 0
    assert "shop" not in lookalike("project", "list").output


async def test_a_catalogue_is_looked_after_from_the_command_line(
    lookalike: Run,
    addresses: dict[str, str],
    embedder: ServerProcess,
    searcher: ServerProcess,
    photos: list[Path],
) -> None:
    """Filters, limits, lists, deletions, and a new model: each command as an operator would type it."""

    async def run(*arguments: str, code: int = 0) -> str:
        done = await asyncio.to_thread(lookalike, *arguments)
        assert done.code == code, done.errors
        return done.output if code == 0 else done.errors

    async def uris(*arguments: str) -> list[str]:
        answer = json.loads(await run("search", "catalogue", str(photos[0]), "--json", *arguments))
        return [hit["references"][0]["uri"] for hit in answer["results"]]

    items = [
        Item(photos[0], "https://shop/0", "bag", labels={"colour": "red", "brand": "x"}),
        Item(photos[0], "https://shop/0-again", "bag", "small", labels={"colour": "blue", "brand": "y"}),
        Item(photos[1], "https://shop/1", "bag", labels={"colour": "blue", "brand": "x"}),
        Item(photos[2], "https://shop/2", "hat", staged=True),
    ]
    async with Client(embedder.address, searcher.address) as client:
        await client.create_project("catalogue")
        for item in items:
            assert [outcome.error async for outcome in client.index("catalogue", [item])] == [None]

    assert len(await uris()) == 3
    assert await uris("--product", "hat", "--staged") == ["https://shop/2"]
    assert await uris("--not-staged", "--product", "bag", "--product", "hat", "--variant", "small") == [items[1].uri]
    assert set(await uris("--label", "colour=red", "--label", "colour=blue", "--label", "brand=x")) == {
        *("https://shop/0", "https://shop/1")
    }
    assert await uris("--uri-prefix", "https://shop/1", "--exact", "--limit", "5") == ["https://shop/1"]
    assert await uris("--min-similarity", "0.99") == ["https://shop/0"]
    table = await run("search", "catalogue", str(photos[0]), "--by-product")
    assert [line.split("\t")[3] for line in table.splitlines()[1:3]] == ["bag", "hat"]
    assert "NAME=VALUE" in await run("search", "catalogue", str(photos[0]), "--label", "red", code=2)

    assert "10,000" in await run("project", "limit", "catalogue", "--max-images", "10000")
    assert "\toff\t" in await run("project", "disable", "catalogue")
    assert "\toff\t" in await run("project", "list")
    assert "\ton\t" in await run("project", "enable", "catalogue")
    assert "does not exist" in await run("project", "disable", "nowhere", code=2)
    limits = await run("project", "limit", "catalogue", "--max-hits", "2")
    assert "10,000" in limits, "a limit that is not named stays"
    assert "at most 2 hits" in await run("search", "catalogue", str(photos[0]), code=2)
    assert "at least one limit" in await run("project", "limit", "catalogue", code=2)

    listed = (await run("images", "catalogue")).splitlines()
    assert [line.split(maxsplit=2)[2] for line in listed] == ["https://shop/0 (+1)", "https://shop/1", "https://shop/2"]
    [image] = (await run("images", "catalogue", "--json", "--product", "hat")).splitlines()
    assert json.loads(image)["references"][0]["staged"] is True
    assert len((await run("images", "catalogue", "--limit", "1")).splitlines()) == 1

    found = await run("duplicates", "catalogue")
    assert "used in 2 places by 1 product: " in found
    assert found.splitlines()[-1] == "1 cluster among 3 images"
    [cluster] = map(json.loads, (await run("duplicates", "catalogue", "--same-file", "--json")).splitlines())
    assert [reference["uri"] for reference in cluster["images"][0]["references"]] == [
        items[0].uri,
        items[1].uri,
    ]
    token = cluster["progress"]["resumeToken"]
    assert await run("duplicates", "catalogue", "--same-file", "--json", "--resume", token) == ""
    piped = f"{BIN / 'lookalike'} images catalogue --json | true"
    shell = await asyncio.create_subprocess_shell(
        piped, stderr=asyncio.subprocess.PIPE, env={**os.environ, **addresses}
    )
    assert (await shell.communicate())[1] == b"", "a reader who has seen enough is no failure"
    assert "resume_token" in await run("duplicates", "catalogue", "--resume", "none", code=2)

    assert "0 of 3" in await run("space", "create", "catalogue", "new-model")
    assert len((await run("images", "catalogue", "--missing-in-space", "new-model")).splitlines()) == 3
    assert "0 images searched for" in await run("space", "compare", "catalogue", "new-model")
    assert "3 images" in await run("space", "cut-over", "catalogue", "new-model", code=2)
    cut_over = await run("space", "cut-over", "catalogue", "new-model", "--allow-incomplete")
    assert cut_over.splitlines()[1].split()[:3] == ["new-model", "512", "yes"]
    shown = await run("project", "show", "catalogue")
    assert "searches are exact" in shown
    assert "max images" in shown
    old = next(line.split()[0] for line in cut_over.splitlines()[2:])
    await run("space", "cut-over", "catalogue", old)
    await run("space", "delete", "catalogue", "new-model", "--yes")
    assert "new-model" not in await run("space", "list", "catalogue")

    deleted = await run("delete", "catalogue", "--uri", items[0].uri, "--product", "hat", "--yes")
    assert deleted.strip() == "references deleted: 2; images: 1"
    [rest] = (await run("images", "catalogue", "--product", "bag", "--variant", "small")).splitlines()
    assert "deleted: 1; images: 1" in await run("delete", "catalogue", "--sha256", rest.split()[0], "--yes")
    assert "--uri" in await run("delete", "catalogue", "--yes", code=2)
    await run("project", "delete", "catalogue", "--yes")


def test_a_failure_is_told_in_a_sentence_and_exits_with_2(
    commands: CommandLine, lookalike: Run, photos: list[Path]
) -> None:
    missing = lookalike("search", "nowhere", str(photos[0]))
    assert missing.code == 2
    assert missing.errors.strip() == "lookalike: project 'nowhere' does not exist"
    away = commands.run("project", "list", environment={"LOOKALIKE_SEARCHER": "127.0.0.1:1"})
    assert away.code == 2
    assert "lookalike up" in away.errors
    unreadable = lookalike("index", "shop", "/nowhere")
    assert unreadable.code == 2
    assert "/nowhere does not exist" in unreadable.errors
    unknown = lookalike("index", "nowhere", str(photos[0]))
    assert unknown.code == 2
    assert "To create the project, run the command with --create." in unknown.errors


async def test_a_killed_searcher_starts_again_on_the_same_data(embedder: ServerProcess, tmp_path: Path) -> None:
    """Kill -9 costs nothing that was acknowledged, and leaves nothing that hinders the next start."""
    arguments = ["--port", "0", "--data-dir", str(initialised(tmp_path))]
    async with running("lookalike_searcher", arguments) as first, Client(embedder.address, first.address) as client:
        await client.create_project("shop", space="any-space")
        first.process.kill()
        await first.process.wait()
        with pytest.raises(UnavailableError):
            await client.get_project("shop")
    assert postgres_of(tmp_path), "the killed searcher's PostgreSQL is expected to be left running"
    async with running("lookalike_searcher", arguments) as second, Client(searcher=second.address) as client:
        assert (await client.get_project("shop")).space == "any-space"
        assert len(postgres_of(tmp_path)) == 1
        with pytest.raises(ServerFailed):
            async with running("lookalike_searcher", arguments):
                pass
        await stop(second.process)
        assert second.process.returncode == 0
    await asyncio.to_thread(psutil.wait_procs, postgres_of(tmp_path), 10)
    assert not [process for process in postgres_of(tmp_path) if process.status() != psutil.STATUS_ZOMBIE]


async def test_a_searcher_that_lost_its_postgres_ends_and_says_so(tmp_path: Path) -> None:
    """Whoever runs it starts it again, and the data is recovered."""
    data = ["--port", "0", "--data-dir", str(initialised(tmp_path / "data"))]
    with (tmp_path / "log").open("wb") as log:
        async with running("lookalike_searcher", data, log) as server:
            postgres_of(tmp_path / "data")[0].kill()
            assert await server.process.wait() == 1
    text = (tmp_path / "log").read_text()
    assert "the embedded PostgreSQL has ended" in text
    assert "Traceback" not in text.partition("has ended")[2]
    async with running("lookalike_searcher", data) as again, Client(searcher=again.address) as client:
        assert [project async for project in client.list_projects()] == []


async def test_a_stale_process_number_stops_nobody_elses_postgres(
    searcher: ServerProcess, searchers_data: Path, tmp_path: Path
) -> None:
    """After a reboot the number in postmaster.pid may be another server's."""
    [foreign] = postgres_of(searchers_data)
    data = ["--port", "0", "--data-dir", str(initialised(tmp_path))]
    async with running("lookalike_searcher", data) as first:
        kept = (tmp_path / "postgres" / "postmaster.pid").read_text()
        await stop(first.process)
    lines = kept.splitlines()
    (tmp_path / "postgres" / "postmaster.pid").write_text("\n".join([str(foreign.pid), *lines[1:]]) + "\n")
    async with running("lookalike_searcher", data), Client(searcher=searcher.address) as client:
        assert foreign.is_running()
        assert isinstance([project async for project in client.list_projects()], list)


def test_names_of_files_are_no_markup(lookalike: Run) -> None:
    name = "/nowhere/[/red] :warning: [bold]x.jpg"
    done = lookalike("search", "shop", name)
    assert done.code == 2
    assert done.errors.strip() == f"lookalike: cannot read {name}: No such file or directory"


def test_nothing_to_index_is_an_error(lookalike: Run, tmp_path: Path) -> None:
    done = lookalike("index", "nothing", str(tmp_path), "--create")
    assert done.code == 2
    assert "there are no images in" in done.errors


async def test_up_that_is_terminated_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    process = await up(initialised(tmp_path), stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    while b"embedded PostgreSQL runs" not in await process.stderr.readline():
        pass
    children = psutil.Process(process.pid).children()
    process.terminate()
    await process.communicate()
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert not [found for found in postgres_of(tmp_path) if found.status() != psutil.STATUS_ZOMBIE]


async def test_a_taken_port_is_a_clear_error(searcher: ServerProcess, tmp_path: Path) -> None:
    port = searcher.address.rpartition(":")[2]
    with (tmp_path / "log").open("wb") as log, pytest.raises(ServerFailed) as caught:
        async with running("lookalike_searcher", ["--port", port, "--data-dir", str(tmp_path / "data")], log):
            pass
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use; see --port" in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert not (tmp_path / "data").exists(), "PostgreSQL was started first"


async def test_an_embedder_says_that_a_port_is_taken_before_it_looks_for_weights(
    searcher: ServerProcess, tmp_path: Path
) -> None:
    port = searcher.address.rpartition(":")[2]
    arguments = ["--port", "0", "--metrics-port", port, "--weights", str(tmp_path / "none.safetensors")]
    with (tmp_path / "log").open("wb") as log, pytest.raises(ServerFailed, match="see --metrics-port"):
        async with running("lookalike_embedder", arguments, log):
            pass


async def test_up_runs_both_until_it_is_interrupted(tmp_path: Path) -> None:
    process = await up(initialised(tmp_path), stderr=asyncio.subprocess.DEVNULL)
    assert process.stdout is not None
    lines = [(await process.stdout.readline()).decode() for _ in range(3)]
    assert "Ready." in lines[2]
    async with Client(lines[1].split()[1], lines[0].split()[1]) as client:
        await client.create_project("shop")
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0
    assert b"stopped" in await process.stdout.read()
    assert not [process for process in postgres_of(tmp_path) if process.status() != psutil.STATUS_ZOMBIE]


def test_the_weights_command_says_where_they_are_and_that_they_are_right() -> None:
    done = subprocess.run([BIN / "lookalike-embedder", "weights"], capture_output=True, text=True, check=True)
    kept = Path(done.stdout.splitlines()[0])
    assert kept.stat().st_size > 58_000_000
    assert "sha256 over the tensors: f3ed44fd" in done.stdout


def test_no_weights_anywhere_is_a_clear_error(tmp_path: Path) -> None:
    """Without cache, network and pip the embedder ends, and says what to do."""
    nowhere = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "TORCH_HOME": str(tmp_path / "torch")}
    environment = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"} | nowhere
    done = subprocess.run(
        [BIN / "lookalike-embedder", "--cache-dir", tmp_path, "weights"],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"},
    )
    assert done.returncode == 1
    assert "no VGG16 weights could be had" in done.stderr
    assert "--weights FILE" in done.stderr
    assert "Traceback" not in done.stderr
