"""Define the option --column, which says which column of a manifest is which."""

from collections.abc import Sequence
from typing import Annotated

import typer

Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME=COLUMN",
        help="Read uri, path, product, variant, staged or a label from this column of manifests, for example"
        " product=sku. Can be repeated.",
    ),
]


def parsed_columns(mappings: Sequence[str] | None) -> dict[str, str]:
    """Return the column that each name is read from. Raises typer.BadParameter."""
    columns: dict[str, str] = {}
    for mapping in mappings or ():
        name, equals, source = (part.strip() for part in mapping.partition("="))
        if not (name and equals and source) or name in columns:
            raise typer.BadParameter(f"must be NAME=COLUMN, once for each name, got {mapping!r}", param_hint="--column")
        columns[name] = source
    return columns
