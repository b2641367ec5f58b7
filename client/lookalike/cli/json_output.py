"""Print records as JSON, in the spelling of the HTTP API: a program that reads one also reads the other."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import singledispatch
from typing import Any, Final

import typer

from lookalike.records import DuplicateImage, DuplicateProgress, Hit, PairCounts, SearchResult

_NAMES: Final[Mapping[str, str]] = {"variant": "variantId"}
"""HTTP calls these fields something else than their names in camel case."""


def print_json(record: object, indent: int | None = None) -> None:
    """Print a record, all of it."""
    typer.echo(json.dumps(document(record), indent=indent))


def camel_case(name: str) -> str:
    """Return the name of a field as HTTP spells it."""
    first, *others = name.split("_")
    return _NAMES.get(name) or first + "".join(map(str.capitalize, others))


@singledispatch
def document(value: object) -> Any:  # noqa: ANN401 - whatever JSON takes
    """Return what `json.dumps` takes for a record."""
    if is_dataclass(value):
        return _named(value)
    if isinstance(value, tuple):
        return [document(member) for member in value]
    return dict(value) if isinstance(value, Mapping) else value


def _named(record: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    return {camel_case(field.name): document(getattr(record, field.name)) for field in fields(record)}


@document.register
def _(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@document.register
def _(result: SearchResult) -> dict[str, Any]:
    return {
        "count": len(result.hits),
        "results": [{"rank": rank, **document(hit)} for rank, hit in enumerate(result.hits, start=1)],
        "nextPageToken": result.next_page_token,
        "mode": result.mode,
        "reason": result.reason,
        "queryFeatureless": result.query_featureless,
        "imagesRanked": result.images_ranked,
        "space": result.space,
        "searchId": result.search_id,
        "timing": {"embedMs": _milliseconds(result.embed_seconds), "searchMs": _milliseconds(result.search_seconds)},
    }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


@document.register
def _(hit: Hit) -> dict[str, Any]:
    return _named(hit) | {"product": hit.product or None}


@document.register
def _(duplicate: DuplicateImage) -> dict[str, Any]:
    own = _named(duplicate)
    return {**own.pop("image"), **own, "nearestSha256": duplicate.nearest_sha256 or None}


@document.register
def _(progress: DuplicateProgress) -> dict[str, Any]:
    return {
        "imagesExamined": progress.examined_count,
        "images": progress.image_count,
        "resumeToken": progress.resume_token,
        "pairs": document(progress.pairs),
    }


@document.register
def _(pairs: PairCounts) -> dict[str, Any]:
    return {
        "near": pairs.near_count,
        "verified": pairs.verified_count,
        "proven": pairs.proven_count,
        "recoloured": pairs.recoloured_count,
        "byCosine": pairs.cosine_count,
        "unverified": pairs.unverified_count,
        "dismissed": pairs.dismissed_count,
    }
