"""Implement `lookalike delete`, which deletes references by URI or product, and images by hash."""

from typing import Annotated

import typer

from lookalike.cli.common import DEFAULT_SEARCHER, Searcher, Yes, console, run
from lookalike.client import Client


def delete(
    project: Annotated[str, typer.Argument(help="The project's name.")],
    uri: Annotated[list[str] | None, typer.Option(help="Delete references with this URI. Can be repeated.")] = None,
    product: Annotated[
        list[str] | None, typer.Option(help="Delete references of this product. Can be repeated.")
    ] = None,
    sha256: Annotated[
        list[str] | None,
        typer.Option(help="Delete the image with this SHA-256 and all its references. Can be repeated."),
    ] = None,
    searcher: Searcher = DEFAULT_SEARCHER,
    yes: Yes = False,
) -> None:
    """Delete references, and images that lose their last reference. It is no error if something does not exist."""
    uris, products, sha256s = uri or [], product or [], sha256 or []
    count = len(uris) + len(products) + len(sha256s)
    if not count:
        raise typer.BadParameter("name at least one --uri, --product or --sha256")
    if not yes:
        noun = "the named item" if count == 1 else f"the {count} named items"
        typer.confirm(f"Delete {noun} from project {project!r}?", abort=True)

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            deleted = await client.delete_images(project, uris=uris, products=products, sha256s=sha256s)
        console.print(f"references deleted: {deleted.reference_count:,}; images: {deleted.image_count:,}")

    run(work())
