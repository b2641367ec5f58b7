"""Implement `lookalike images`, which lists a project's images, one in each line."""

from contextlib import aclosing
from typing import Annotated

import typer

from lookalike.cli import filter as filters
from lookalike.cli.common import DEFAULT_SEARCHER, Searcher, console, format_places, run
from lookalike.cli.json_output import print_json
from lookalike.client import Client


def images(
    project: Annotated[str, typer.Argument(help="The project's name.")],
    product: filters.Products = None,
    variant: filters.Variants = None,
    staged: filters.Staged = None,
    uri_prefix: filters.UriPrefix = "",
    label: filters.Labels = None,
    missing_in_space: Annotated[
        str | None, typer.Option(metavar="SPACE", help="Only images without a vector in this space.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The most images to list; all by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each image as a line of JSON.")] = False,
    searcher: Searcher = DEFAULT_SEARCHER,
) -> None:
    """List a project's images in the order in which they were first indexed: SHA-256, size in pixels, first URI."""
    chosen = filters.filter_of(product, variant, staged, uri_prefix, label)

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            listed = client.list_images(project, filter=chosen, missing_in_space=missing_in_space)
            count = 0
            async with aclosing(listed):
                async for image in listed:
                    if as_json:
                        print_json(image)
                    else:
                        size = f"{image.width}x{image.height}"
                        place = format_places(image.references, image.reference_count)
                        console.print(f"{image.sha256}  {size:>9}  {place}", soft_wrap=True)
                    count += 1
                    if count == limit:
                        return

    run(work())
