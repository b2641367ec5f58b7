"""The options that say which images."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated

import typer

from lookalike.records import Filter

Products = Annotated[list[str] | None, typer.Option("--product", help="Only of this product; may be repeated.")]
Variants = Annotated[list[str] | None, typer.Option("--variant", help="Only of this variant; may be repeated.")]
Staged = Annotated[bool | None, typer.Option("--staged/--not-staged", help="Only staged ones, or none of them.")]
UriPrefix = Annotated[str, typer.Option(help="Only where the URI begins with this.")]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="NAME=VALUE",
        help="Only with this label; may be repeated: any of the values of a name, and each of the names.",
    ),
]


def filter_of(
    products: Sequence[str] | None,
    variants: Sequence[str] | None,
    staged: bool | None,
    uri_prefix: str,
    labels: Sequence[str] | None,
) -> Filter | None:
    """The filter that the options make; None if there is none.

    Raises:
        typer.BadParameter: a label has no `=`.
    """
    values: defaultdict[str, list[str]] = defaultdict(list)
    for label in labels or ():
        name, equals, value = label.partition("=")
        if not equals:
            raise typer.BadParameter(f"must be NAME=VALUE, got {label!r}", param_hint="--label")
        values[name].append(value)
    made = Filter(products or (), variants or (), staged, uri_prefix, dict(values))
    return made if made != Filter() else None
