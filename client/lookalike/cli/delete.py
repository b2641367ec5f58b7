"""Implement `lookalike delete`, which deletes references by URI or product, and images by hash."""

from typing import Annotated

import typer

from lookalike.cli.arguments import local_uri
from lookalike.cli.common import DEFAULT_SEARCHER, Searcher, Yes, console, errors, run
from lookalike.client import Client


def delete(
    project: Annotated[str, typer.Argument(help="The project's name.")],
    uri: Annotated[
        list[str] | None,
        typer.Option(help="Delete references with this URI, or with that of this local file. Can be repeated."),
    ] = None,
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
    named, products, sha256s = uri or [], product or [], sha256 or []
    uris = list(dict.fromkeys(name for text in named for name in (text, local_uri(text))))
    count = len(named) + len(products) + len(sha256s)
    if not count:
        raise typer.BadParameter("name at least one --uri, --product or --sha256")
    if not yes:
        for text in named:
            console.print(f"the reference with the URI {local_uri(text)}", soft_wrap=True)
        noun = "the named item" if count == 1 else f"the {count} named items"
        typer.confirm(f"Delete {noun} from project {project!r}?", abort=True)

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            deleted = await client.delete_images(project, uris=uris, products=products, sha256s=sha256s)
        if uris and not deleted.reference_count:
            errors.print(f"no reference has the URI {' or '.join(uris)}", soft_wrap=True)
        console.print(f"references deleted: {deleted.reference_count:,}; images: {deleted.image_count:,}")

    run(work())
