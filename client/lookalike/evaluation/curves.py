"""Draw curves as SVG for a page, in the colours of the page, so that they follow its light and dark themes."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lookalike import ranking_metrics
from lookalike.evaluation.ranking import DEEPEST
from lookalike.evaluation.study import Side

_SIZE: Final = (5.2, 4.0)
_INK, _SOFT, _LINE = "#010101", "#020202", "#030303"
_SIDES: Final = ("#040404", "#050505", "#060606", "#070707", "#080808", "#090909")
_DASHES: Final = ("-", "--", "-.", ":")
_PAGE: Final = {_INK: "--ink", _SOFT: "--soft", _LINE: "--line"} | {
    colour: f"--side-{number}" for number, colour in enumerate(_SIDES)
}
"""Placeholder colours for matplotlib, and the CSS variables of the page that replace them."""
_NUMBERED: Final = re.compile(r' id="[A-Za-z0-9.]+_[0-9]+"|<metadata>.*</metadata>', re.DOTALL)
"""Matches ids that nothing refers to and that every drawing repeats, and matplotlib's metadata."""
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _LINE,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "legend.frameon": False,
    "lines.linewidth": 2.2,
    "figure.constrained_layout.use": True,
}


def precision_recall(sides: Sequence[Side]) -> str:
    """Draw the mean interpolated precision over recall, a curve for each side, and return the SVG."""
    with _drawing("recall", "precision") as (axes, drawings):
        for number, side in enumerate(sides):
            axes.plot(ranking_metrics.LEVELS, side.retrieval.precision_curve, label=side.name, **_line_style(number))
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        _legend(axes, sides)
    return drawings[0]


def recall_at_k(sides: Sequence[Side], photos: int) -> str:
    """Draw the mean recall over k, a curve for each side, up to the number of other photos, and return the SVG."""
    ranks = min(DEEPEST, photos - 1)
    with _drawing("k", "recall@k") as (axes, drawings):
        for number, side in enumerate(sides):
            axes.plot(range(1, ranks + 1), side.retrieval.recall_curve[:ranks], label=side.name, **_line_style(number))
        axes.set(xlim=(1, max(2, ranks)), ylim=(0, 1.02))
        _legend(axes, sides)
    return drawings[0]


def near_duplicates(sides: Sequence[Side]) -> str:
    """Draw the ROC curve of each side that has copies, with a dot at the threshold, and return the SVG.

    The axis of false positives is logarithmic.
    """
    with _drawing("other photos taken for copies", "copies found") as (axes, drawings):
        for number, side in enumerate(sides):
            if side.duplicates:
                curve, threshold = side.duplicates.roc, side.duplicates.neighbours.threshold
                min_false_positives = 1 / (2 * side.duplicates.negatives.size)  # a logarithmic scale has no 0
                false_positives = np.maximum(curve.false_positives, min_false_positives)
                axes.plot(false_positives, curve.true_positives, label=side.name, **_line_style(number))
                place = int((curve.thresholds >= threshold).sum()) - 1
                x, y = false_positives[place], curve.true_positives[place]
                axes.plot([x], [y], "o", color=_SIDES[number % len(_SIDES)], markersize=8)
                axes.annotate(
                    f" {threshold:g}", (x, y), color=_INK, va="top", xytext=(4, -4), textcoords="offset points"
                )
        axes.set(xscale="log", xlim=(None, 1), ylim=(0, 1.02))
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        _legend(axes, sides)
    return drawings[0]


def _line_style(number: int) -> dict[str, Any]:
    """Return colour and dashes of a side's line; sides differ in both."""
    return {"color": _SIDES[number % len(_SIDES)], "linestyle": _DASHES[number % len(_DASHES)]}


def _legend(axes: Axes, sides: Sequence[Side]) -> None:
    if len(sides) > 1:
        axes.legend(loc="best", fontsize=9)


@contextmanager
def _drawing(x: str, y: str) -> Iterator[tuple[Axes, list[str]]]:
    """Yield axes to draw on, and a list that holds the SVG after the block."""
    drawings: list[str] = []
    with mpl.rc_context(_STYLE | {"svg.hashsalt": y}):  # ids of several drawings on one page
        figure = Figure(figsize=_SIZE)
        axes = figure.add_subplot()
        axes.set(xlabel=x, ylabel=y)
        yield axes, drawings
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawings.append(_for_page(buffer.getvalue()))


def _for_page(svg: str) -> str:
    """Return the SVG element alone, in the colours of the page; the text beside it says what it shows."""
    for colour, name in _PAGE.items():
        svg = svg.replace(colour, f"var({name})")
    svg = _NUMBERED.sub("", svg[svg.index("<svg") :])
    return svg.replace("<svg", '<svg aria-hidden="true"', 1)
