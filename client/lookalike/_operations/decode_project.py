"""Turn the wire's messages about projects into the library's records."""

from datetime import UTC
from typing import Final

from lookalike._operations import learning
from lookalike.constants import DEFAULT_DIMENSIONS
from lookalike.records import (
    Calibration,
    Curve,
    Index,
    IndexState,
    Limits,
    Project,
    Rung,
    Space,
    SpaceComparison,
    SpaceFigures,
    Tuning,
    TuningPolicy,
    TuningStage,
)
from lookalike.v1 import searcher_pb2

_INDEX_STATES: Final = {
    searcher_pb2.INDEX_STATE_NONE: IndexState.NONE,
    searcher_pb2.INDEX_STATE_PENDING: IndexState.PENDING,
    searcher_pb2.INDEX_STATE_BUILDING: IndexState.BUILDING,
    searcher_pb2.INDEX_STATE_READY: IndexState.READY,
}

_POLICIES: Final = {
    searcher_pb2.TUNING_POLICY_OFF: TuningPolicy.OFF,
    searcher_pb2.TUNING_POLICY_PROPOSE: TuningPolicy.PROPOSE,
    searcher_pb2.TUNING_POLICY_AUTO: TuningPolicy.AUTO,
}
_STAGES: Final = {
    searcher_pb2.TUNING_STAGE_IDLE: TuningStage.IDLE,
    searcher_pb2.TUNING_STAGE_PROPOSED: TuningStage.PROPOSED,
    searcher_pb2.TUNING_STAGE_BUILDING: TuningStage.BUILDING,
    searcher_pb2.TUNING_STAGE_WATCHING: TuningStage.WATCHING,
}


def project(message: searcher_pb2.Project) -> Project:
    """Return the record of a project."""
    return Project(
        name=message.name,
        space=message.space,
        image_count=message.image_count,
        reference_count=message.reference_count,
        create_time=message.create_time.ToDatetime(tzinfo=UTC),
        update_time=message.update_time.ToDatetime(tzinfo=UTC),
        limits=_limits(message.limits),
        search_enabled=not message.search_disabled,
        fingerprints_enabled=not message.fingerprints_disabled,
        spaces=tuple(map(_space, message.spaces)),
        tuning_policy=_POLICIES.get(message.tuning_policy, TuningPolicy.OFF),  # of a searcher that does not say
        tuning=_tuning(message.tuning) if message.HasField("tuning") else None,
    )


def _tuning(message: searcher_pb2.Tuning) -> Tuning:
    return Tuning(
        stage=_STAGES.get(message.stage, TuningStage.OTHER),
        space=message.space,
        learning=learning.decode(message.learning) if message.HasField("learning") else None,
        step=message.step,
        detail=message.detail,
        step_time=message.step_time.ToDatetime(tzinfo=UTC) if message.HasField("step_time") else None,
    )


def _limits(message: searcher_pb2.Limits) -> Limits:
    return Limits(message.max_images, message.max_hits, message.searches_per_second, message.max_batch)


def _space(message: searcher_pb2.Space) -> Space:
    index = Index(
        state=_INDEX_STATES.get(message.index.state, IndexState.OTHER),
        progress=message.index.progress,
        phase=message.index.phase,
        recall=message.index.recall if message.index.HasField("recall") else None,
        ef_search=message.index.ef_search,
        calibration=_calibration(message.index.calibration) if message.index.HasField("calibration") else None,
    )
    created = message.create_time.ToDatetime(tzinfo=UTC)
    dimensions = message.dimensions or DEFAULT_DIMENSIONS  # of a searcher that does not say
    learned = learning.decode(message.learning) if message.HasField("learning") else None
    return Space(
        message.name,
        message.serves,
        message.vector_count,
        index,
        created,
        message.source,
        dimensions,
        learned,
        message.neighbour_count,
    )


def _calibration(message: searcher_pb2.Calibration) -> Calibration:
    return Calibration(
        create_time=message.create_time.ToDatetime(tzinfo=UTC),
        image_count=message.image_count,
        query_count=message.query_count,
        real_query_count=message.real_query_count,
        curves=tuple(map(_curve, message.curves)),
    )


def _curve(message: searcher_pb2.Curve) -> Curve:
    rungs = tuple(Rung(rung.ef_search, rung.recall, rung.seconds) for rung in message.rungs)
    return Curve(message.hit_count, rungs, message.exact_seconds)


def comparison(message: searcher_pb2.CompareSpacesResponse) -> SpaceComparison:
    """Return the record of two spaces side by side."""
    return SpaceComparison(
        sample_count=message.sample_count,
        overlap=message.overlap,
        serving=_figures(message.serving),
        other=_figures(message.other),
    )


def _figures(message: searcher_pb2.SpaceFigures) -> SpaceFigures:
    return SpaceFigures(message.space, message.same_product, message.median_seconds)
