"""What a bench found: named values beside the bounds that were asked for, as a table and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One value.

    Attributes:
        name: in the JSON; what follows a dot is a member of an object.
        value: None where this machine cannot tell.
        on: what it was measured on, and what it leaves out.
        least, most: the bound that was asked for, if any.
    """

    name: str
    value: float | None
    on: str = ""
    least: float | None = None
    most: float | None = None

    @property
    def wanted(self) -> str:
        """The bound, and whether it is kept."""
        if self.least is None and self.most is None:
            return ""
        bound = f"≥ {self.least:,g}" if self.least is not None else f"≤ {self.most:,g}"
        return bound if self.value is None else f"{bound} {'✓' if self.is_kept else '✗'}"

    @property
    def is_kept(self) -> bool:
        """Whether the value is within its bound."""
        value = self.value or 0.0
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


def table(title: str, figures: Sequence[Figure]) -> Table:
    """The figures for a reader."""
    drawn = Table(title=title, title_justify="left", min_width=100)
    for heading in ("figure", "value", "wanted", "measured on"):
        drawn.add_column(heading, justify="right" if heading == "value" else "left", no_wrap=heading != "measured on")
    for figure in figures:
        drawn.add_row(figure.name, _shown(figure.value), figure.wanted, figure.on)
    return drawn


def as_json(names: Sequence[str], figures: Sequence[Figure]) -> str:
    """The figures for a program: first those that were asked for, null where not measured, then all others."""
    found: dict[str, object] = dict.fromkeys(names)
    for figure in figures:
        value = None if figure.value is None else _rounded(figure.value)
        name, dot, member = figure.name.partition(".")
        found[name] = {**_object(found.get(name)), member: value} if dot else value
    return json.dumps(found)


def show(title: str, names: Sequence[str], figures: Sequence[Figure]) -> None:
    """Print both; the JSON comes last."""
    Console(width=130, highlight=False).print(table(title, figures))
    print(as_json(names, figures))


def _object(found: object) -> dict[str, object]:
    return found if isinstance(found, dict) else {}


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def _shown(value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
