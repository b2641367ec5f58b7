"""`lookalike index`: index whatever there is of images."""

import asyncio
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.common import (
    DEFAULT_EMBEDDER,
    DEFAULT_SEARCHER,
    Embedder,
    Searcher,
    Timeout,
    errors,
    run,
)
from lookalike.cli.indexer import Indexer
from lookalike.cli.report import Report
from lookalike.client import DEFAULT_EMBED_STREAMS, Client
from lookalike.errors import AlreadyExistsError
from lookalike.fetch import Settings
from lookalike.indexing import Seen, Shard
from lookalike.sources import Format, ProductFrom, Sources

_DEFAULTS = Settings()


def index(
    project: Annotated[str, typer.Argument(help="The project to index into.")],
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Folders, glob patterns, image files, manifests (.csv, .jsonl, .parquet, .txt), URLs, `s3://…/` and"
            " the like, or `-` for a manifest on standard input."
        ),
    ],
    create: Annotated[bool, typer.Option("--create", help="Create the project if it is not there.")] = False,
    product_from: Annotated[
        ProductFrom, typer.Option(help="What products of files are called after; manifests say it themselves.")
    ] = ProductFrom.NONE,
    form: Annotated[Format, typer.Option("--format", help="How manifests are written.")] = Format.AUTO,
    sync: Annotated[bool, typer.Option("--sync", help="Afterwards, delete references that the sources lack.")] = False,
    within: Annotated[str, typer.Option(help="With --sync: only references whose URIs begin so.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="With --sync: delete also more than half of the project.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    shard: Annotated[
        str,
        typer.Option(
            help="i/n: only the i-th of n shares, counted from 0. In an Indexed Job: by JOB_COMPLETION_INDEX and"
            " LOOKALIKE_SHARDS."
        ),
    ] = "",
    failures: Annotated[
        Path | None, typer.Option(help="Where failures go, as a manifest. [default: PROJECT-failures.jsonl]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines.")] = False,
    per_host: Annotated[int, typer.Option(min=1, help="Images fetched from one host at once.")] = _DEFAULTS.per_host,
    fetch_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that fetching an image may take.")
    ] = _DEFAULTS.timeout,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds that a host may be down before its images are given up.")
    ] = _DEFAULTS.patience,
    private_redirects: Annotated[
        bool, typer.Option("--allow-private-redirects", help="Let redirects lead to addresses that are not public.")
    ] = False,
    trust_manifests: Annotated[
        bool,
        typer.Option(
            "--trust-manifests",
            help="Let manifests from the web and from stores name anything, as yours may: files of this machine, other"
            " stores, addresses that are not public.",
        ),
    ] = False,
    embed_streams: Annotated[
        int, typer.Option(min=1, help="Streams to embedders, so that at most so many are kept busy.")
    ] = DEFAULT_EMBED_STREAMS,
    embedder: Embedder = DEFAULT_EMBEDDER,
    searcher: Searcher = DEFAULT_SEARCHER,
    timeout: Timeout = 30,
) -> None:
    """Fetch, embed and store images; what the project holds already is left alone, and if it can be, not even read.

    Run it again after any interruption: it does what is left. Exit code 0: all are indexed; 1: some failed; 2: it could
    not run, or not go on.
    """
    share = _share(shard)
    found = Sources(sources, form, product_from)
    settings = Settings(
        per_host=per_host,
        timeout=fetch_timeout,
        patience=patience,
        private_redirects=private_redirects,
        trust_manifests=trust_manifests,
    )
    path = failures or Path(f"{project}-failures{f'-{share.index}' if share.count > 1 else ''}.jsonl")

    async def work() -> int:
        found.check()
        async with Client(embedder, searcher, timeout=timeout, embed_streams=embed_streams) as client:
            if create and not dry_run:
                await _create(client, project)
            with Seen() as seen, Report(path) as report:
                command = Indexer(client, project, found, share, settings, seen if sync else None, report, as_json)
                if dry_run:
                    return await command.plan(within)
                code = await command.index()
                return await command.prune(seen, within, sure=yes) or code if sync else code

    run(work(), _loop())


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed: with it the null model's pipeline is a fifth quicker."""
    if find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


def _share(text: str) -> Shard:
    index, count = os.environ.get("JOB_COMPLETION_INDEX"), os.environ.get("LOOKALIKE_SHARDS")
    if index and not count and not text:
        raise typer.BadParameter("in an Indexed Job, LOOKALIKE_SHARDS must say of how many", param_hint="--shard")
    if index and not text:
        text = f"{index}/{count}"
    try:
        return Shard.parse(text) if text else Shard()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--shard") from error


async def _create(client: Client, project: str) -> None:
    try:
        await client.create_project(project)
    except AlreadyExistsError:
        return
    errors.print(f"created project {project}")
