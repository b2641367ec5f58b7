"""Check a backup's manifest, which is not trusted, by the rules of the wire."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import numpy as np

from lookalike._operations import learning as learnings
from lookalike.records import TuningPolicy
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher import validation
from lookalike_searcher.backup.archive import Manifest
from lookalike_searcher.backup.backup import tables_of
from lookalike_searcher.backup.row_rules import MAX_KEY
from lookalike_searcher.database.halfvec import MAX_DIMENSIONS
from lookalike_searcher.database.statement import vectors_of
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.projects import learning
from lookalike_searcher.projects.projection import FLOATS, MAX_NEIGHBOURS
from lookalike_searcher.rpc.parse import project as projects

Rule = Callable[[str, Any], object]

MAX_SPACES: Final = 256
_MAX_DAYS: Final = 40_000
"""The most days of impressions: a century."""


def _whole(field: str, value: object, minimum: int = 0, maximum: int = MAX_KEY) -> None:
    if type(value) is not int or not minimum <= value <= maximum:
        raise InvalidField(field, f"must be a whole number of {minimum} to {maximum}", value)


def _flag(field: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidField(field, "must be true or false", value)


def _time(field: str, value: object) -> None:
    """Check a time of years that a response can hold, with its UTC offset."""
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None or not 1970 <= time.year <= 9998:
        raise InvalidField(field, "must be a time of the years 1970 to 9998", value)


def _time_or_none(field: str, value: object) -> None:
    if value is not None:
        _time(field, value)


def _neighbours(field: str, value: object) -> None:
    _whole(field, value, 0, MAX_NEIGHBOURS)


def _day(field: str, value: object) -> None:
    if not 1970 <= date.fromisoformat(str(value)).year <= 9998:
        raise InvalidField(field, "must be a day of the years 1970 to 9998", value)


def _name(field: str, value: str) -> None:
    validation.project_name(value, field)


def _space(field: str, value: str) -> None:
    validation.space(value, field)


def _dimensions(field: str, value: object) -> None:
    _whole(field, value, 1, MAX_DIMENSIONS)


def _limit(field: str, value: float) -> None:
    """Check a limit by the wire's own parser."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidField(field, "must be a number", value)
    table, _, name = field.partition(".")
    message = wire.Limits()
    setattr(message, name, value)
    projects.limits(message, table)


def _floats(field: str, value: str) -> np.ndarray:
    """Return the floats in PostgreSQL's JSON form of bytes."""
    if not value.startswith("\\x"):
        raise InvalidField(field, r"must begin with \x", value)
    data = bytes.fromhex(value[2:])
    return np.frombuffer(data[: len(data) // FLOATS.itemsize * FLOATS.itemsize], FLOATS)


def _policy(field: str, value: str) -> None:
    if value not in tuple(TuningPolicy):
        raise InvalidField(field, f"must be {', '.join(TuningPolicy)}", value)


def _learning(field: str, value: Mapping[str, Any]) -> None:
    """Check what a space was learned from by the wire's own parser."""
    if learned := learning.of_json(json.dumps(value)):
        projects.learning(learnings.encode(learned), field)


def _id(field: str, value: object) -> None:
    _whole(field, value, 1)


_PROJECT: Final[Mapping[str, Rule]] = {
    "name": _name,
    "space": _space,
    "schema_version": _id,
    "create_time": _time,
    "update_time": _time,
    "search_disabled": _flag,
    "fingerprints_disabled": _flag,
    "tuning_policy": _policy,
    **dict.fromkeys(("image_count", "reference_count", "feedback_count"), _whole),
    **dict.fromkeys(("deleted_since_vacuum", "deleted_since_index"), _whole),
    **dict.fromkeys(("max_images", "max_hits", "searches_per_second", "max_batch"), _limit),
}
_SPACE: Final[Mapping[str, Rule]] = {
    "id": _id,
    "name": _space,
    "dimensions": _dimensions,
    "complete": _flag,
    "create_time": _time,
}
_PROJECTION: Final[Mapping[str, Rule]] = {
    "space_id": _id,
    "source_id": _id,
    "matrix": _floats,
    "centre": _floats,
    "filled_to": _whole,
    "filled": _flag,
    "learning": _learning,
    "learned_to": _whole,
    "neighbours": _neighbours,
    "augmented_to": _whole,
    "augmented_time": _time_or_none,
}
_IMPRESSION: Final[Mapping[str, Rule]] = {"day": _day, "count": _whole}
_OPTIONAL: Final = frozenset(
    {
        "feedback_count",
        "search_disabled",
        "fingerprints_disabled",
        "dimensions",
        "tuning_policy",
        "learning",
        "learned_to",
        "neighbours",
        "augmented_to",
        "augmented_time",
    }
)
"""Registries of older versions do not have these columns."""


def check(manifest: Manifest) -> None:
    """Raise InvalidField, KeyError, TypeError or ValueError for all that the wire would have refused."""
    _id("registry_version", manifest.registry_version)
    _row("lookalike_project", manifest.project, _PROJECT)
    _rows("lookalike_space", manifest.spaces, _SPACE, MAX_SPACES, "id", "name")
    _rows("lookalike_projection", manifest.projections, _PROJECTION, MAX_SPACES, "space_id")
    _rows("lookalike_impression", manifest.impressions, _IMPRESSION, _MAX_DAYS, "day")
    dimensions = {space["id"]: manifest.dimensions(space["id"]) for space in manifest.spaces}
    derived = {projection["space_id"] for projection in manifest.projections}
    for projection in manifest.projections:
        source = projection["source_id"]
        if projection["space_id"] not in dimensions or source not in dimensions.keys() - derived:
            raise InvalidField("lookalike_projection.source_id", "must be of a space that is not derived", source)
        matrix, centre = (_floats(name, projection[name]) for name in ("matrix", "centre"))
        shape = projects.projection(matrix, centre).matrix.shape
        if shape != (wanted := (dimensions[projection["space_id"]], dimensions[source])):
            raise InvalidField("lookalike_projection.matrix", f"must be of shape {wanted}", shape)
    _tables(manifest, dimensions)


def _rows(table: str, rows: Sequence[Mapping[str, Any]], rules: Mapping[str, Rule], limit: int, *unique: str) -> None:
    if not isinstance(rows, list):
        raise InvalidField(table, "must be a list", rows)
    validation.at_most(table, rows, limit)
    for row in rows:
        _row(table, row, rules)
    for key in unique:
        if len({row[key] for row in rows}) < len(rows):
            raise InvalidField(f"{table}.{key}", "must not be there twice", len(rows))


def _row(table: str, row: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
    if unknown := row.keys() - rules.keys():
        raise ValueError(f"{table} has no column {min(unknown)!r}")
    if missing := rules.keys() - row.keys() - _OPTIONAL:
        raise ValueError(f"it lacks the column {min(missing)!r} of {table}")
    for name, value in row.items():
        rules[name](f"{table}.{name}", value)


def _tables(manifest: Manifest, ids: Iterable[int]) -> None:
    expected = {*tables_of(manifest.project["schema_version"]), *map(vectors_of, ids)}
    if manifest.tables.keys() != expected:
        raise InvalidField("tables", f"must be {sorted(expected)}", sorted(manifest.tables))
    for name, table in manifest.tables.items():
        _whole(f"tables.{name}.rows", table.rows)
        if not isinstance(table.columns, list) or len({*table.columns}) < len(table.columns):
            raise InvalidField(f"tables.{name}.columns", "must be a list of different columns", table.columns)
