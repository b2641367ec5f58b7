"""Build responses about feedback on searches."""

from typing import Final

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.database.halfvec import decode, dimensions_of
from lookalike_searcher.feedback.feedback import Feedback
from lookalike_searcher.feedback.feedback import Hit as JudgedHit
from lookalike_searcher.feedback.quality import Quality
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.search import search_id

_VERDICTS: Final = {True: wire.VERDICT_RIGHT, False: wire.VERDICT_WRONG, None: wire.VERDICT_UNSPECIFIED}


def feedback(stored: Feedback) -> wire.Feedback:
    """Return the stored feedback on a search."""
    message = wire.Feedback(
        search_id=search_id.text(stored.search_id),
        query_sha256=stored.query_sha256,
        query_stored=stored.query_stored,
        query_embedding=_embedding(stored.embedding) if stored.embedding else None,
        hits=map(_hit_feedback, stored.hits),
    )
    message.search_time.FromDatetime(stored.search_time)
    return message


def _embedding(embedding: Embedding) -> common.Embedding:
    [values] = decode([embedding.vector], dimensions_of(len(embedding.vector)))
    return common.Embedding(space=embedding.space, values=values)


def _hit_feedback(hit: JudgedHit) -> wire.HitFeedback:
    message = wire.HitFeedback(
        sha256=hit.sha256,
        rank=hit.verdict.rank,
        verdict=_VERDICTS[hit.verdict.right],
        clicked=hit.verdict.clicked,
        stored=hit.stored,
    )
    message.update_time.FromDatetime(hit.update_time)
    return message


def quality(figures: Quality) -> wire.GetSearchQualityResponse:
    """Return the figures of how good searches were."""
    judged_hits = figures.right + figures.wrong
    message = wire.GetSearchQualityResponse(
        search_count=figures.searches,
        judged_search_count=figures.judged,
        clicked_search_count=figures.clicked,
        click_through_rate=min(1.0, figures.clicked / figures.searches) if figures.searches else None,
        mean_reciprocal_rank=figures.reciprocal_rank,
        right_count=figures.right,
        wrong_count=figures.wrong,
        precision=figures.right / judged_hits if judged_hits else None,
    )
    message.start_time.FromDatetime(figures.since)
    return message
