"""Print tables: aligned on a terminal, tab-separated and whole elsewhere."""

from collections.abc import Iterable, Sequence

import typer
from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from lookalike.cli.common import console
from lookalike.escape import escape

_GAP = 2
"""Rich leaves so many columns of the terminal between two columns of a table."""


def table(titles: Sequence[str], *, right: Iterable[str] = (), whole: Iterable[str] = ()) -> Table:
    """Return a table with these columns.

    Args:
        titles: the titles of the columns.
        right: titles of columns that are aligned to the right, such as numbers.
        whole: titles of columns that are never broken, such as names that the reader types again.
    """
    made = Table(box=None, header_style="bold")
    for title in titles:
        justify = "right" if title in right else "left"
        made.add_column(title, justify=justify, overflow="fold", no_wrap=title in whole)  # type: ignore[arg-type]
    return made


def print_table(printed: Table) -> None:
    """Print a table on standard output: for people on a terminal, for programs in a pipe or a file."""
    if console.is_terminal:
        if (least := _least_width(printed)) > console.width:
            printed.width = least  # the terminal breaks the lines; when it is widened, they are whole again
        console.print(printed, crop=False)
        return
    rows = zip(*(column.cells for column in printed.columns), strict=True)
    titles = [tuple(column.header for column in printed.columns)] if printed.show_header else []
    for row in (*titles, *rows):
        typer.echo("\t".join(map(_plain, row)))


def _least_width(printed: Table) -> int:
    """Return the width below which a column would be cut; other columns may be as narrow as their titles."""
    return sum(_GAP + max(map(cell_len, _held(column))) for column in printed.columns)


def _held(column: Column) -> Iterable[str]:
    """Return what must fit into a column."""
    yield _plain(column.header)
    if column.no_wrap:
        yield from map(_plain, column.cells)


def _plain(cell: RenderableType) -> str:
    return escape(cell.plain if isinstance(cell, Text) else str(cell))
