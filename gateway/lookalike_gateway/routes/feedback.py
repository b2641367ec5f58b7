"""Record what users thought of a search's hits, and say how good searches are by that."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lookalike.records import HitVerdict, Verdict
from lookalike_gateway import respond
from lookalike_gateway.parameter import Given
from lookalike_gateway.problems import Refused
from lookalike_gateway.state import face_of

MAX_VERDICTS: Final = 100
MAX_RANK: Final = 1_000_000
SEARCH_ID: Final = "^[A-Za-z0-9_-]{22}$"
SHA256: Final = "^[0-9a-f]{64}$"

_LIVE: Final = {"Cache-Control": "no-store"}
_MAX_JSON: Final = 64 * 1024


async def recorded(request: Request, given: Given) -> Response:
    """Record verdicts on a search."""
    face = face_of(request)
    body = await face.uploads.json(request, _MAX_JSON)
    fields = _object(body, "the body", {"searchId", "verdicts"}, {"querySha256"})
    verdicts = fields["verdicts"]
    if not isinstance(verdicts, list) or not 1 <= len(verdicts) <= MAX_VERDICTS:
        raise _bad("verdicts", f"must be a list of 1 to {MAX_VERDICTS}")
    changed = await face.client.record_feedback(
        given["project"],
        _text(fields["searchId"], "searchId", SEARCH_ID),
        [_verdict(one, f"verdicts[{number}]") for number, one in enumerate(verdicts)],
        sha256=_text(fields["querySha256"], "querySha256", SHA256) if "querySha256" in fields else None,
    )
    return JSONResponse({"changed": changed}, headers=_LIVE)


async def quality(request: Request, given: Given) -> Response:
    """Return how good a project's searches were."""
    found = await face_of(request).client.search_quality(given["project"], days=given["days"])
    return JSONResponse(respond.quality(found), headers=_LIVE)


def _verdict(value: object, field: str) -> HitVerdict:
    fields = _object(value, field, {"sha256", "rank", "verdict"})
    rank, verdict = fields["rank"], fields["verdict"]
    number = isinstance(rank, int | float) and not isinstance(rank, bool)
    if not (number and 1 <= rank <= MAX_RANK and rank % 1 == 0):
        raise _bad(f"{field}.rank", f"must be an integer of 1 to {MAX_RANK}")
    if not isinstance(verdict, str) or verdict not in tuple(Verdict):
        raise _bad(f"{field}.verdict", f"must be one of {', '.join(Verdict)}")
    return HitVerdict(_text(fields["sha256"], f"{field}.sha256", SHA256), int(rank), Verdict(verdict))


def _object(value: object, field: str, required: set[str], optional: set[str] | None = None) -> Mapping[str, Any]:
    """A JSON object with these fields and no others."""
    if not isinstance(value, dict) or not required <= set(value) <= required | (optional or set()):
        also = f", perhaps {', '.join(sorted(optional))}," if optional else ""
        raise _bad(field, f"must be an object with {', '.join(sorted(required))}{also} and nothing else")
    return value


def _text(value: object, field: str, pattern: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise _bad(field, f"must match {pattern}")
    return value


def _bad(field: str, rule: str) -> Refused:
    detail = f"{field}: {rule}"
    return Refused(HTTPStatus.BAD_REQUEST, "INVALID_BODY", detail, violations={field: detail})
