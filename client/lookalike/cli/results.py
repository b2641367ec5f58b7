"""Keep what was found of suspicious pictures as lines of JSON, and read it again, so that a run can go on."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from lookalike.cli.json_output import camel_case, document
from lookalike.records import Hit, Match, MatchBasis, Point, Proof, Reference, Region, Suspect

T = TypeVar("T")
Json = Mapping[str, Any]


def line(suspect: Suspect) -> str:
    """Return a suspect as a line of JSON: `error` only where there is one, `picture`, in base64, of copies alone."""
    made = {
        "uri": suspect.uri,
        "copies": [document(hit) for hit in suspect.copies],
        "unverified": suspect.unverified,
    }
    if suspect.picture:
        made["picture"] = base64.b64encode(suspect.picture).decode()
    if suspect.error:
        made |= {"error": str(suspect.error), "reason": suspect.error.reason}
    return json.dumps(made)


def read(file: Path) -> Iterator[Suspect]:
    """Yield what a file knows of pictures that could be looked for; there may be none.

    The last line may be broken, as a run was killed: its picture is looked for again.
    """
    if not file.exists():
        return
    for text in file.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError, KeyError, TypeError):
            found = json.loads(text)
            if "error" not in found:
                picture = base64.b64decode(found.get("picture", ""))
                yield Suspect(found["uri"], tuple(map(_hit, found["copies"])), found["unverified"], picture)


def _hit(found: Json) -> Hit:
    proof = found["proof"]
    return replace(
        _record(Hit, found),
        match=Match(found["match"]),
        match_basis=MatchBasis(found["matchBasis"]),
        product=found["product"] or "",
        references=tuple(_record(Reference, one) for one in found["references"]),
        proof=proof and _proof(proof),
    )


def _proof(found: Json) -> Proof:
    covered = found["covered"]
    return replace(
        _record(Proof, found),
        corners_in_query=tuple(_record(Point, one) for one in found["cornersInQuery"]),
        corners_in_image=tuple(_record(Point, one) for one in found["cornersInImage"]),
        covered=covered and _record(Region, covered),
    )


def _record(kind: type[T], found: Json) -> T:
    """Return a record of its JSON, whose members that are records themselves are still to be made."""
    return kind(**{field.name: found[camel_case(field.name)] for field in fields(kind)})  # type: ignore[arg-type]
