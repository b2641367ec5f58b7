"""Implement `lookalike index`, which indexes images from all kinds of sources."""

import asyncio
import codecs
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.arguments import stored_uri
from lookalike.cli.columns import Columns, parsed_columns
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
from lookalike.fetch import DEFAULT_SETTINGS, Settings
from lookalike.indexing import Seen, Shard
from lookalike.sources import Format, ProductFrom, Sources


def index(
    project: Annotated[str, typer.Argument(help="The name of the project to index into.")],
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Folders, glob patterns, image files, manifests (.csv, .tsv, .json, .jsonl, .parquet, .xml, .txt),"
            " URLs, folders of object stores (s3://…/), or - for a manifest on standard input."
        ),
    ],
    create: Annotated[bool, typer.Option("--create", help="Create the project if it does not exist.")] = False,
    product_from: Annotated[
        ProductFrom, typer.Option(help="What names the product of an image file; manifests have a column for it.")
    ] = ProductFrom.NONE,
    form: Annotated[Format, typer.Option("--format", help="Format of manifests.")] = Format.AUTO,
    column: Columns = None,
    encoding: Annotated[
        str, typer.Option(help="Encoding of manifests, for example cp1252; UTF-8, unless a byte order mark says more.")
    ] = "",
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Refuse a row of a manifest where a label, or a row like it, would be left out."),
    ] = False,
    sync: Annotated[bool, typer.Option("--sync", help="At the end, delete references that the sources lack.")] = False,
    within: Annotated[
        str, typer.Option(help="With --sync: delete only references whose URI begins with this text.")
    ] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="With --sync: allow deleting more than half of the references.")
    ] = False,
    reread: Annotated[
        bool, typer.Option("--reread", help="Read every image again, also those that seem not to have changed.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")] = False,
    shard: Annotated[
        str,
        typer.Option(
            help="i/n: index only share i of n shares; the first is 0. In a Kubernetes Indexed Job,"
            " JOB_COMPLETION_INDEX and LOOKALIKE_SHARDS set it."
        ),
    ] = "",
    failures: Annotated[
        Path | None, typer.Option(help="File for the failures, which is a manifest. [default: PROJECT-failures.jsonl]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print progress and results as lines of JSON.")] = False,
    per_host: Annotated[
        int, typer.Option(min=1, help="The most images to fetch from one host at once.")
    ] = DEFAULT_SETTINGS.per_host,
    fetch_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that fetching one image may take.")
    ] = DEFAULT_SETTINGS.timeout,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds for which a host may fail before its images are given up.")
    ] = DEFAULT_SETTINGS.patience,
    private_redirects: Annotated[
        bool, typer.Option("--allow-private-redirects", help="Follow redirects to addresses that are not public.")
    ] = False,
    trust_manifests: Annotated[
        bool,
        typer.Option(
            "--trust-manifests",
            help="Let manifests from the web and from stores name any URI, as local manifests may: files of this"
            " machine, other stores, addresses that are not public.",
        ),
    ] = False,
    embed_streams: Annotated[
        int,
        typer.Option(min=1, help="Number of streams to embedders, and so the most embedders that are used at once."),
    ] = DEFAULT_EMBED_STREAMS,
    embedder: Embedder = DEFAULT_EMBEDDER,
    searcher: Searcher = DEFAULT_SEARCHER,
    timeout: Timeout = 30,
) -> None:
    """Fetch, embed and store images. Images that have not changed since the last run are not indexed again.

    After an interruption, run the same command again: it indexes the rest. Exit codes: 0: all images are indexed; 1:
    some images failed; 2: the command could not run or could not continue.
    """
    share = _share(shard)
    named = Sources(sources, form, product_from, parsed_columns(column), _encoding(encoding), strict)
    settings = Settings(
        per_host=per_host,
        timeout=fetch_timeout,
        patience=patience,
        private_redirects=private_redirects,
        trust_manifests=trust_manifests,
        reread=reread,
    )
    path = failures or Path(f"{project}-failures{f'-{share.index}' if share.count > 1 else ''}.jsonl")

    async def work() -> int:
        named.check()
        async with Client(embedder, searcher, timeout=timeout, embed_streams=embed_streams) as client:
            if create and not dry_run:
                await _create(client, project)
            with Seen() as seen, Report(path) as report:
                command = Indexer(client, project, named, share, settings, seen, report, as_json)
                if dry_run:
                    return await command.plan(stored_uri(within), sync=sync)
                code = await command.index()
                return await command.prune(stored_uri(within), sure=yes) or code if sync else code

    run(work(), _loop(), {"PROJECT_NOT_FOUND": "To create the project, run the command with --create."})


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name if name else ""
    except LookupError as error:
        raise typer.BadParameter(f"{name!r} is not known", param_hint="--encoding") from error


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's event loop if it is installed: it makes the pipeline of a null model a fifth faster."""
    if find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


def _share(text: str) -> Shard:
    index, count = os.environ.get("JOB_COMPLETION_INDEX"), os.environ.get("LOOKALIKE_SHARDS")
    if index and not count and not text:
        raise typer.BadParameter(
            "in an Indexed Job, LOOKALIKE_SHARDS must be the number of shares", param_hint="--shard"
        )
    if index and not text:
        text = f"{index}/{count}"
    try:
        return Shard.parse(text) if text else Shard()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--shard") from error


async def _create(client: Client, project_name: str) -> None:
    try:
        await client.create_project(project_name)
    except AlreadyExistsError:
        return
    errors.print(f"created project {project_name}")
