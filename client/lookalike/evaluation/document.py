"""Turn an evaluation into JSON for programs: everything but the photos and the curves."""

from typing import Any

from lookalike.evaluation.study import Evaluation, Side


def document(evaluation: Evaluation) -> dict[str, Any]:
    """Return the evaluation as an object for `json.dumps`; figures have the names of `figures.GROUPS`."""
    labelled = evaluation.labelled
    return {
        "labels": str(labelled.path),
        "photo_count": len(labelled.photos),
        "label_count": len(evaluation.names),
        "left_out": [{"path": photo.name, "why": photo.why} for photo in labelled.left_out],
        "sides": [_side(evaluation, side) for side in evaluation.sides],
        "seed": evaluation.settings.seed,
        "time": evaluation.time.isoformat(timespec="seconds"),
        "version": evaluation.version,
    }


def _side(evaluation: Evaluation, side: Side) -> dict[str, Any]:
    retrieval, copies = side.retrieval, side.duplicates
    return {
        "name": side.name,
        "ranking": side.ranking,
        "query_count": len(retrieval.queries),
        "figures": side.figures(),
        "map_by_label": evaluation.by_label(side, retrieval.average_precision),
        "copies_found_by_alteration": copies.recalls() if copies else {},
        "copied_photo_count": copies.photo_count if copies else 0,
    }
