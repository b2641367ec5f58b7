"""Say how long searches of a space take, how much they find, and what is wrong if they are slow."""

from lookalike.records import Calibration, Index, IndexState, Project, Space


def search_time(project: Project, space: Space) -> str:
    """Return a sentence for people. Times are those that the last calibration measured, in the database."""
    index, calibration = space.index, space.index.calibration
    images = f"{project.image_count:,} images"
    if index.state is not IndexState.READY:
        until = "" if index.state is IndexState.NONE else " until its index is built"
        return f"searches compare all {images}{until}"
    if calibration is None:
        return "searches go through the index; it is not calibrated yet"
    if not index.ef_search:
        exactly = _milliseconds(calibration.curves[0].exact_seconds)
        return f"searches compare all {images} in {exactly}: its index would not be faster"
    return f"searches take {_walk(index, calibration)}"


def _walk(index: Index, calibration: Calibration) -> str:
    rungs = calibration.curves[0].rungs
    rung = next((rung for rung in rungs if rung.ef_search >= index.ef_search), rungs[-1])
    recall = f"{index.recall:.3f} by searches" if index.recall is not None else f"{rung.recall:.3f} by calibration"
    return f"{_milliseconds(rung.seconds)} through the index, at a recall of {recall}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
