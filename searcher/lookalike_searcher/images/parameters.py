"""Pass references as parameters of SQL statements."""

import json
from collections.abc import Sequence

from lookalike_searcher.images.image import Reference, ReferenceKey

_JSON = json.JSONEncoder(check_circular=False, ensure_ascii=False)


def columns(keys: Sequence[ReferenceKey]) -> list[list[object]]:
    """Return the keys column by column, as `unnest` takes them."""
    return [list(column) for column in zip(*keys, strict=True)] or [[], [], [], []]


def labels_json(reference: Reference) -> str:
    """Return the reference's labels as JSON, for PostgreSQL."""
    return _JSON.encode(reference.labels) if reference.labels else "{}"
