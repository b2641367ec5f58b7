"""`lookalike delete`: delete images and references by what names them."""

from typing import Annotated

import typer

from lookalike.cli.common import DEFAULT_SEARCHER, Searcher, Yes, console, run
from lookalike.client import Client


def delete(
    project: Annotated[str, typer.Argument(help="The project.")],
    uri: Annotated[list[str] | None, typer.Option(help="References with this URI; may be repeated.")] = None,
    product: Annotated[list[str] | None, typer.Option(help="References of this product; may be repeated.")] = None,
    sha256: Annotated[
        list[str] | None, typer.Option(help="The image with this hash, wherever it is used; may be repeated.")
    ] = None,
    searcher: Searcher = DEFAULT_SEARCHER,
    yes: Yes = False,
) -> None:
    """Delete references, and images that have lost their last one. What is not there is no error."""
    uris, products, sha256s = uri or [], product or [], sha256 or []
    count = len(uris) + len(products) + len(sha256s)
    if not count:
        raise typer.BadParameter("name at least one --uri, --product or --sha256")
    if not yes:
        typer.confirm(f"Delete all that is named ({count}) from project {project!r}?", abort=True)

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            deleted = await client.delete_images(project, uris=uris, products=products, sha256s=sha256s)
        console.print(f"references deleted: {deleted.reference_count:,}; images: {deleted.image_count:,}")

    run(work())
