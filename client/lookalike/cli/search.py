"""`lookalike search`: the most similar images, as a table or as JSON."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from lookalike.cli.common import (
    DEFAULT_EMBEDDER,
    DEFAULT_SEARCHER,
    MATCH_STYLES,
    Embedder,
    Searcher,
    Timeout,
    console,
    run,
)
from lookalike.client import DEFAULT_LIMIT, Client
from lookalike.records import Hit, SearchResult


def search(
    project: Annotated[str, typer.Argument(help="The project to search in.")],
    image: Annotated[Path, typer.Argument(help="The image file to search with.")],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most hits to show.")] = DEFAULT_LIMIT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")] = False,
    embedder: Embedder = DEFAULT_EMBEDDER,
    searcher: Searcher = DEFAULT_SEARCHER,
    timeout: Timeout = 30,
) -> None:
    """Show the images that are most similar to an image."""

    async def work() -> None:
        async with Client(embedder, searcher, timeout=timeout) as client:
            result = await client.search(project, image=image, limit=limit)
        if as_json:
            typer.echo(json.dumps(dataclasses.asdict(result), indent=2))
        else:
            _print(result)

    run(work())


def _print(result: SearchResult) -> None:
    table = Table(box=None, header_style="bold")
    for title in ("rank", "similarity", "match", "product", "where"):
        table.add_column(title, justify="right" if title in ("rank", "similarity") else "left", overflow="fold")
    for rank, hit in enumerate(result.hits, start=1):
        style = MATCH_STYLES[hit.match]
        products = ", ".join(dict.fromkeys(reference.product for reference in hit.references if reference.product))
        table.add_row(str(rank), f"{hit.similarity:.4f}", Text(hit.match, style), Text(products), Text(_where(hit)))
    console.print(table)
    console.print(
        f"{result.mode} search over {result.images_ranked:,} images:"
        f" embedded in {result.embed_seconds * 1000:.0f} ms, searched in {result.search_seconds * 1000:.0f} ms"
    )


def _where(hit: Hit) -> str:
    more = f" (+{hit.reference_count - 1})" if hit.reference_count > 1 else ""
    return hit.references[0].uri + more
