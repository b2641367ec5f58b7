"""Build responses about projects and their spaces."""

from collections.abc import Mapping
from typing import Final

from lookalike._operations import learning
from lookalike.records import Tuning, TuningPolicy, TuningStage
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.indexes.calibration import Calibration
from lookalike_searcher.indexes.curve import Curve
from lookalike_searcher.indexes.index import IndexState, IndexStatus
from lookalike_searcher.projects.project import Limits, Project
from lookalike_searcher.projects.space import Space
from lookalike_searcher.search.space_comparison import Comparison, Figures

_INDEX_STATES: Final[Mapping[IndexState, "wire.IndexState.ValueType"]] = {
    IndexState.NONE: wire.INDEX_STATE_NONE,
    IndexState.PENDING: wire.INDEX_STATE_PENDING,
    IndexState.BUILDING: wire.INDEX_STATE_BUILDING,
    IndexState.READY: wire.INDEX_STATE_READY,
}

_POLICIES: Final[Mapping[TuningPolicy, "wire.TuningPolicy.ValueType"]] = {
    TuningPolicy.OFF: wire.TUNING_POLICY_OFF,
    TuningPolicy.PROPOSE: wire.TUNING_POLICY_PROPOSE,
    TuningPolicy.AUTO: wire.TUNING_POLICY_AUTO,
}
_STAGES: Final[Mapping[TuningStage, "wire.TuningStage.ValueType"]] = {
    TuningStage.IDLE: wire.TUNING_STAGE_IDLE,
    TuningStage.PROPOSED: wire.TUNING_STAGE_PROPOSED,
    TuningStage.BUILDING: wire.TUNING_STAGE_BUILDING,
    TuningStage.WATCHING: wire.TUNING_STAGE_WATCHING,
}


def project(
    stored: Project,
    indexes: Mapping[int, IndexStatus] | None = None,
    calibrations: Mapping[int, Calibration] | None = None,
    tuning: Tuning | None = None,
) -> wire.Project:
    """Return the message about a project, with its spaces.

    Args:
        stored: the project.
        indexes: the states of its spaces' indexes by the spaces' ids; without them, the answer has no spaces.
        calibrations: the calibrations of these indexes, by the spaces' ids.
        tuning: how far its tuning has come.
    """
    message = wire.Project(
        name=stored.name,
        space=stored.space,
        image_count=stored.image_count,
        reference_count=stored.reference_count,
        limits=_limits(stored.limits),
        search_disabled=stored.search_disabled,
        fingerprints_disabled=stored.fingerprints_disabled,
        tuning_policy=_POLICIES[stored.tuning_policy],
        tuning=_tuning(tuning) if tuning else None,
    )
    message.create_time.FromDatetime(stored.create_time)
    message.update_time.FromDatetime(stored.update_time)
    if indexes is not None:
        spaces = (space for space in stored.spaces if space.id in indexes)  # other spaces have just been dropped
        in_order = sorted(spaces, key=lambda space: space.name != stored.space)
        measured = calibrations or {}
        message.spaces.extend(_space(space, stored, indexes[space.id], measured.get(space.id)) for space in in_order)
    return message


def _tuning(tuning: Tuning) -> wire.Tuning:
    message = wire.Tuning(
        stage=_STAGES[tuning.stage],
        space=tuning.space,
        learning=learning.encode(tuning.learning) if tuning.learning else None,
        step=tuning.step,
        detail=tuning.detail,
    )
    if tuning.step_time:
        message.step_time.FromDatetime(tuning.step_time)
    return message


def _limits(limits: Limits) -> wire.Limits:
    return wire.Limits(
        max_images=limits.max_images,
        max_hits=limits.max_hits,
        searches_per_second=limits.searches_per_second,
        max_batch=limits.max_batch,
    )


def _space(space: Space, project: Project, index: IndexStatus, calibration: Calibration | None) -> wire.Space:
    message = wire.Space(
        name=space.name,
        serves=space.name == project.space,
        dimensions=space.dimensions,
        source=project.base(space).name if space.source_id else "",
        vector_count=index.vector_count,
        learning=learning.encode(space.learning) if space.learning else None,
        neighbour_count=space.neighbours,
        index=wire.Index(
            state=_INDEX_STATES[index.state],
            progress=index.progress,
            phase=index.phase,
            recall=space.recall if space.recall_count else None,
            ef_search=(space.ef_search(10) or 0),
            calibration=_calibration(calibration) if calibration and space.index_time else None,
        ),
    )
    message.create_time.FromDatetime(space.create_time)
    return message


def _calibration(calibration: Calibration) -> wire.Calibration:
    message = wire.Calibration(
        image_count=calibration.image_count,
        query_count=calibration.query_count,
        real_query_count=calibration.real_query_count,
        curves=map(_curve, calibration.curves),
    )
    if calibration.create_time:
        message.create_time.FromDatetime(calibration.create_time)
    return message


def _curve(curve: Curve) -> wire.Curve:
    rungs = (wire.Rung(ef_search=rung.ef_search, recall=rung.recall, seconds=rung.seconds) for rung in curve.rungs)
    return wire.Curve(hit_count=curve.hit_count, rungs=rungs, exact_seconds=curve.exact_seconds)


def comparison(compared: Comparison) -> wire.CompareSpacesResponse:
    """Return the comparison of two spaces over the same queries."""
    return wire.CompareSpacesResponse(
        sample_count=compared.samples,
        overlap=compared.overlap,
        serving=_figures(compared.serving),
        other=_figures(compared.other),
    )


def _figures(figures: Figures) -> wire.SpaceFigures:
    return wire.SpaceFigures(
        space=figures.space, same_product=figures.same_product, median_seconds=figures.median_seconds
    )
