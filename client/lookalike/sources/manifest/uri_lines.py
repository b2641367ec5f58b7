"""Read one URI from each line."""

from lookalike.sources.manifest.row import Row, Rows
from lookalike.sources.manifest.text import Lines


def rows(lines: Lines) -> Rows:
    """Yield a row for each line that is not blank."""
    for line in lines:
        if problem := lines.take_problem():
            yield Row(lines.number, error=problem)
        elif uri := line.strip():
            yield Row(lines.number, ("uri",), ([uri],))
