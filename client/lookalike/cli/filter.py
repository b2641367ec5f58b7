"""Define the options that filter images, and make a filter of them."""

from collections.abc import Sequence
from typing import Annotated

import typer

from lookalike.cli.arguments import stored_uri
from lookalike.labels import values_by_name
from lookalike.records import Filter

Products = Annotated[list[str] | None, typer.Option("--product", help="Only images of this product. Can be repeated.")]
Variants = Annotated[list[str] | None, typer.Option("--variant", help="Only images of this variant. Can be repeated.")]
Staged = Annotated[
    bool | None, typer.Option("--staged/--not-staged", help="Only staged images, or only images that are not staged.")
]
UriPrefix = Annotated[
    str, typer.Option(help="Only images with a URI that begins with this text, or with that of this local path.")
]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="NAME=VALUE",
        help="Only images with this label. Can be repeated: an image needs one of the values for each name.",
    ),
]


def filter_of(
    products: Sequence[str] | None,
    variants: Sequence[str] | None,
    staged: bool | None,
    uri_prefix: str,
    labels: Sequence[str] | None,
) -> Filter | None:
    """Return the filter that the options make; None if there are no options.

    Raises:
        typer.BadParameter: a label has no `=`.
    """
    try:
        values = values_by_name(labels or ())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--label") from error
    image_filter = Filter(products or (), variants or (), staged, stored_uri(uri_prefix), values)
    return image_filter if image_filter != Filter() else None
