"""Define the title, the meaning and the format of each figure, for all tables."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Figure:
    """A figure is one number of an evaluation.

    Attributes:
        name: the name in JSON; see `Side.figures`.
        title: the title in tables.
        meaning: the explanation in tables.
        form: the format of values, as `format` takes it.
        better: 1 if more is better, -1 if less is better, 0 if neither is.
    """

    name: str
    title: str
    meaning: str
    form: str = ".3f"
    better: int = 1

    def format_value(self, value: float | None) -> str:
        """Format a value; a value that was not measured is a dash."""
        return "—" if value is None else format(value, self.form).replace("%", " %")

    def difference(self, value: float | None, first: float | None) -> str:
        """Format how much a value differs from that of the first side; empty if there is no difference to show."""
        if value is None or first is None or not self.better:
            return ""
        text = format(value - first, f"+{self.form}").replace("%", " %")
        return text if any(digit in text for digit in "123456789") else ""


GROUPS: Final[dict[str, tuple[Figure, ...]]] = {
    "Ranking": (
        Figure("map", "mAP", "mean average precision over all photos with the query's label"),
        Figure("p_at_1", "P@1", "share of queries whose first hit is right"),
        Figure(
            "hit_at_5",
            "hit@5",
            "share of queries with a right hit among the first 5; metric learning calls this Recall@5",
        ),
        Figure("hit_at_10", "hit@10", "share of queries with a right hit among the first 10"),
        Figure("recall_at_5", "recall@5", "share of the label's photos that are among the first 5"),
        Figure("recall_at_10", "recall@10", "share of the label's photos that are among the first 10"),
        Figure("recall_at_50", "recall@50", "share of the label's photos that are among the first 50"),
        Figure(
            "ndcg_at_5",
            "nDCG@5",
            "quality of the first 5 hits, in which early ranks count more; 1 is the best possible order",
        ),
        Figure("ndcg_at_10", "nDCG@10", "the same for the first 10 hits"),
    ),
    "Near duplicates": (
        Figure(
            "near_duplicate_auc",
            "AUC",
            "probability that a photo and its copy are more similar than a photo and its nearest other photo",
            ".4f",
        ),
        Figure(
            "near_duplicate_auc_same_label",
            "AUC, same label",
            "the same, against the nearest photos of the same label only",
            ".4f",
        ),
        Figure(
            "near_duplicate_auc_other_label",
            "AUC, other labels",
            "the same, against the nearest photos of other labels only",
            ".4f",
        ),
        Figure(
            "near_duplicate_precision_at_recall_95",
            "precision at recall .95",
            "share of copies among the pairs found, at the threshold that finds 95 % of the copies",
        ),
        Figure(
            "near_duplicate_threshold_at_recall_95",
            "threshold at recall .95",
            "the similarity at which 95 % of the copies are found",
            better=0,
        ),
        Figure("near_duplicate_base_rate", "base rate", "share of copies among all these pairs", better=0),
        Figure(
            "near_duplicate_threshold",
            "threshold",
            "the similarity from which on a pair is called near-duplicate",
            better=0,
        ),
        Figure(
            "near_duplicate_precision",
            "precision at threshold",
            "share of copies among the pairs found at the threshold",
        ),
        Figure("near_duplicate_recall", "recall at threshold", "share of the copies that are found at the threshold"),
        Figure(
            "same_label_pairs_fired",
            "look-alikes fired",
            "share of all pairs of different photos of one label that are called near-duplicate",
            ".4%",
            -1,
        ),
        Figure(
            "other_label_pairs_fired",
            "others fired",
            "share of all pairs of photos of two labels that are called near-duplicate",
            ".4%",
            -1,
        ),
    ),
    "Speed": (
        Figure(
            "embed_p50_ms",
            "embedding, p50, ms",
            "time for one photo that is not in the embedder's cache, median",
            ".1f",
            -1,
        ),
        Figure("embed_images_per_second", "embedding, photos/s", "photos a second, with eight sent at once", ".1f"),
        Figure(
            "search_p50_ms",
            "search, p50, ms",
            "time of a search for ten hits, by an image of the project, median",
            ".1f",
            -1,
        ),
        Figure("search_p99_ms", "search, p99, ms", "the same, 99th percentile", ".1f", -1),
    ),
    "Changing to it": (
        Figure("dimensions", "dimensions", "how many numbers a vector has", ",.0f", 0),
        Figure(
            "images_to_change", "images to embed", "images of the project without a vector in this space", ",.0f", 0
        ),
        Figure(
            "hours_to_change",
            "hours",
            "to embed them with this embedder, at the pace above; fetching them comes on top",
            ",.2f",
            0,
        ),
        Figure("bytes_to_change", "bytes", "of their vectors and the HNSW index, beside the present space", ",.0f", 0),
        Figure(
            "hours_per_million_images",
            "hours, a million images",
            "to embed a million images with this embedder, at the pace above; fetching them comes on top",
            ",.1f",
            0,
        ),
        Figure(
            "bytes_per_million_images",
            "bytes, a million images",
            "of a million vectors and their HNSW index",
            ",.0f",
            0,
        ),
    ),
}
"""All figures, in groups by their topic."""


def measured(names: set[str]) -> dict[str, list[Figure]]:
    """Return the figures with these names, by group and in order; empty groups are left out."""
    chosen = {group: [figure for figure in figures if figure.name in names] for group, figures in GROUPS.items()}
    return {group: figures for group, figures in chosen.items() if figures}
