"""What each figure is called, and what it says: for tables of any kind."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        name: in JSON; see `Side.figures`.
        title: for people.
        meaning: one sentence.
        form: how a value is written, as in `format`.
        better: whether more is better (1) or less (-1); 0: neither.
    """

    name: str
    title: str
    meaning: str
    form: str = ".3f"
    better: int = 1

    def shown(self, value: float | None) -> str:
        """A value; a dash for one that was not measured."""
        return "—" if value is None else format(value, self.form).replace("%", " %")

    def difference(self, value: float | None, first: float | None) -> str:
        """How much more a value is than the first side's, with its sign; empty where that would say nothing."""
        if value is None or first is None or not self.better:
            return ""
        more = format(value - first, f"+{self.form}").replace("%", " %")
        return more if any(digit in more for digit in "123456789") else ""


GROUPS: Final[dict[str, tuple[Figure, ...]]] = {
    "Ranking": (
        Figure("map", "mAP", "mean average precision over all photos of the query's label"),
        Figure("p_at_1", "P@1", "queries whose first hit is right"),
        Figure("hit_at_5", "hit@5", "queries with a right hit among the first 5; metric learning's Recall@5"),
        Figure("hit_at_10", "hit@10", "queries with a right hit among the first 10"),
        Figure("recall_at_5", "recall@5", "share of the label's photos that are among the first 5"),
        Figure("recall_at_10", "recall@10", "share of the label's photos that are among the first 10"),
        Figure("recall_at_50", "recall@50", "share of the label's photos that are among the first 50"),
        Figure("ndcg_at_5", "nDCG@5", "the first 5, early ranks weighing more, over the best possible order"),
        Figure("ndcg_at_10", "nDCG@10", "the same of the first 10"),
    ),
    "Near duplicates": (
        Figure(
            "near_duplicate_auc",
            "AUC",
            "how likely a photo and its copy are more similar than a photo and its nearest other",
            ".4f",
        ),
        Figure(
            "near_duplicate_auc_same_label",
            "AUC, same label",
            "against the nearest photos of the same label alone",
            ".4f",
        ),
        Figure(
            "near_duplicate_auc_other_label", "AUC, other labels", "against the nearest of other labels alone", ".4f"
        ),
        Figure(
            "near_duplicate_precision_at_recall_95",
            "precision at recall .95",
            "where 95 % of the copies are found, how many of the pairs found are copies",
        ),
        Figure(
            "near_duplicate_threshold_at_recall_95", "threshold at recall .95", "the similarity that takes", better=0
        ),
        Figure("near_duplicate_base_rate", "base rate", "share of copies among all these pairs", better=0),
        Figure("near_duplicate_threshold", "threshold", "from which on a pair is called near-duplicate", better=0),
        Figure("near_duplicate_precision", "precision at threshold", "how many of the pairs found are copies"),
        Figure("near_duplicate_recall", "recall at threshold", "share of the copies that are found"),
        Figure(
            "same_label_pairs_fired",
            "look-alikes fired",
            "share of all pairs of different photos of one label that are called near-duplicate",
            ".4%",
            -1,
        ),
        Figure("other_label_pairs_fired", "others fired", "share of all pairs of different labels", ".4%", -1),
    ),
    "Speed": (
        Figure("embed_p50_ms", "embedding, p50, ms", "one photo that the embedder has never seen", ".1f", -1),
        Figure("embed_images_per_second", "embedding, photos/s", "eight of them at once", ".1f"),
        Figure("search_p50_ms", "search, p50, ms", "ten hits, by an image of the project", ".1f", -1),
        Figure("search_p99_ms", "search, p99, ms", "likewise", ".1f", -1),
    ),
}
"""All figures, by what they are about."""


def measured(names: set[str]) -> dict[str, list[Figure]]:
    """Those of these names, in order; groups without any are left out."""
    found = {group: [figure for figure in figures if figure.name in names] for group, figures in GROUPS.items()}
    return {group: figures for group, figures in found.items() if figures}
