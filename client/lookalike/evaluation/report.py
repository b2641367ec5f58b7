"""Write the report of an evaluation: one HTML file that loads no other file, so it can be sent and read anywhere."""

from importlib.resources import files
from typing import Final

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from lookalike.evaluation import curves, figures
from lookalike.evaluation.pictures import Examples
from lookalike.evaluation.study import Evaluation

_FILES: Final = ("report.html", "report.css")


def render(evaluation: Evaluation) -> str:
    """Return the HTML of the report. The photos are read again for thumbnails.

    Raises:
        LookalikeError: a photo does not exist any more.
    """
    folder = files(__package__) / "page"
    sources = {name: (folder / name).read_text(encoding="utf-8") for name in _FILES}
    environment = Environment(
        loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    sides = evaluation.sides
    side_figures = [side.figures() for side in sides]
    with_copies = [side for side in sides if side.duplicates]
    return environment.get_template("report.html").render(
        evaluation=evaluation,
        sides=sides,
        side_figures=side_figures,
        groups=figures.measured({name for values in side_figures for name in values}),
        precision_recall=Markup(curves.precision_recall(sides)),  # noqa: S704 - our own drawing
        recall_at_k=Markup(curves.recall_at_k(sides, len(evaluation.labelled.photos))),  # noqa: S704
        roc=Markup(curves.near_duplicates(with_copies)) if with_copies else "",  # noqa: S704
        with_copies=with_copies,
        labels=_by_label(evaluation),
        counts=_counts(evaluation),
        examples=Examples(evaluation),
    )


def _by_label(evaluation: Evaluation) -> list[tuple[str, list[tuple[float, float]]]]:
    """Return mean average precision and P@1 of each label in each side, ordered by the first side, worst first."""
    sides = [
        (evaluation.by_label(side, side.retrieval.average_precision), evaluation.by_label(side, side.retrieval.hit[1]))
        for side in evaluation.sides
    ]
    rows = [(name, [(means[name], firsts[name]) for means, firsts in sides]) for name in sides[0][0]]
    return sorted(rows, key=lambda row: row[1][0])


def _counts(evaluation: Evaluation) -> dict[str, int]:
    """Return the number of photos of each label."""
    return {name: int((evaluation.labels == label).sum()) for label, name in enumerate(evaluation.names)}
