"""The report: one HTML file that needs nothing else, to be kept, sent and read anywhere."""

from importlib.resources import files
from typing import Final

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from lookalike.evaluation import curves, figures
from lookalike.evaluation.pictures import Album
from lookalike.evaluation.study import Evaluation

_FILES: Final = ("report.html", "report.css")


def render(evaluation: Evaluation) -> str:
    """The page. Photos are read again, for their small pictures; raises LookalikeError if one is no longer there."""
    folder = files(__package__) / "page"
    sources = {name: (folder / name).read_text(encoding="utf-8") for name in _FILES}
    environment = Environment(
        loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    sides = evaluation.sides
    found = [side.figures() for side in sides]
    judged = [side for side in sides if side.duplicates]
    return environment.get_template("report.html").render(
        evaluation=evaluation,
        sides=sides,
        found=found,
        groups=figures.measured({name for one in found for name in one}),
        precision_recall=Markup(curves.precision_recall(sides)),  # noqa: S704 - our own drawing
        recall_at_k=Markup(curves.recall_at_k(sides, len(evaluation.labelled.photos))),  # noqa: S704
        roc=Markup(curves.near_duplicates(judged)) if judged else "",  # noqa: S704
        judged=judged,
        labels=_by_label(evaluation),
        counts=_counts(evaluation),
        album=Album(evaluation),
    )


def _by_label(evaluation: Evaluation) -> list[tuple[str, list[tuple[float, float]]]]:
    """For each label, mean average precision and P@1 of each side; the worst in the first side come first."""
    sides = [
        (evaluation.by_label(side, side.retrieval.average_precision), evaluation.by_label(side, side.retrieval.hit[1]))
        for side in evaluation.sides
    ]
    rows = [(name, [(means[name], firsts[name]) for means, firsts in sides]) for name in sides[0][0]]
    return sorted(rows, key=lambda row: row[1][0])


def _counts(evaluation: Evaluation) -> dict[str, int]:
    """How many photos each label has."""
    return {name: int((evaluation.labels == label).sum()) for label, name in enumerate(evaluation.names)}
