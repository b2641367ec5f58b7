"""These records say what users thought of a search's hits, and how good searches are by that."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lookalike.records.embedding import Embedding


class Verdict(StrEnum):
    """A verdict is what is thought of a hit."""

    RIGHT = "right"
    """It is what was looked for."""
    WRONG = "wrong"
    """It is not what was searched for."""
    CLICKED = "clicked"
    """Somebody had a look at it."""


@dataclass(frozen=True)
class HitVerdict:
    """A hit's verdict is what somebody thought of it.

    Attributes:
        sha256: the hit's hash, in hexadecimal.
        rank: where it stood: 1 for the first, counted over all pages, up to 1,000,000.
        verdict: what was thought.
    """

    sha256: str
    rank: int
    verdict: Verdict


@dataclass(frozen=True)
class HitFeedback:
    """A hit's feedback is what was said about it.

    Attributes:
        sha256: its hash, in hexadecimal.
        rank: where it stood.
        verdict: RIGHT or WRONG; None if neither was said.
        clicked: whether it was clicked.
        stored: whether the project holds the image now.
        update_time: when this was last changed.
    """

    sha256: str
    rank: int
    verdict: Verdict | None
    clicked: bool
    stored: bool
    update_time: datetime


@dataclass(frozen=True)
class Feedback:
    """Feedback is about one search and its hits.

    Attributes:
        search_id: the search.
        search_time: when it was made, to the second.
        query_sha256: the hash of the query's file, in hexadecimal; empty if it was not given.
        query_stored: whether the project holds the query's image now.
        query_embedding: the query's vector, in half precision; None if it was not given.
        hits: those that something was said about, by rank.
    """

    search_id: str
    search_time: datetime
    query_sha256: str
    query_stored: bool
    query_embedding: Embedding | None
    hits: tuple[HitFeedback, ...]


@dataclass(frozen=True)
class SearchQuality:
    """The quality is how good a project's searches were, as their users saw it.

    Attributes:
        start_time: when the window begins: a midnight in UTC.
        search_count: searches answered; one of several pages counts once.
        judged_search_count: searches that got feedback.
        clicked_search_count: searches with a hit that was clicked.
        click_through_rate: of the searches answered, the share with a click, 0 to 1; None if none was answered.
        mean_reciprocal_rank: over the searches with feedback, of 1 / the rank of the first hit that was right, or
            clicked and not wrong; 0 to 1; None without feedback.
        right_count: hits said to be right.
        wrong_count: hits said to be wrong.
        precision: of both together, the share that was right, 0 to 1; None if there are none.
    """

    start_time: datetime
    search_count: int
    judged_search_count: int
    clicked_search_count: int
    click_through_rate: float | None
    mean_reciprocal_rank: float | None
    right_count: int
    wrong_count: int
    precision: float | None
