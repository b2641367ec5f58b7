"""Build what a response says of a hit's match, and of its proof."""

from typing import Final

from lookalike.constants import NEAR_DUPLICATE
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.copies.proof import Corners, Kind, Proof
from lookalike_searcher.search.hit import Hit
from lookalike_searcher.search.query import Resolved

_KINDS: Final = {
    Kind.NEAR_DUPLICATE: wire.MATCH_NEAR_DUPLICATE,
    Kind.RECOLOURED: wire.MATCH_RECOLOURED,
    Kind.SIMILAR: wire.MATCH_SIMILAR,
}


def match(hit: Hit, query: Resolved, proof: Proof | None) -> "tuple[wire.Match.ValueType, wire.MatchBasis.ValueType]":
    """Return what the hit is to the query, and how that was found out."""
    if hit.sha256 == query.sha256:
        return wire.MATCH_EXACT, wire.MATCH_BASIS_FILE
    if proof and proof.kind in _KINDS:
        return _KINDS[proof.kind], wire.MATCH_BASIS_FINGERPRINT
    basis = wire.MATCH_BASIS_TOO_LITTLE if proof else wire.MATCH_BASIS_COSINE
    if hit.likeness >= NEAR_DUPLICATE and not (hit.featureless or query.featureless):
        return wire.MATCH_NEAR_DUPLICATE, basis
    return wire.MATCH_SIMILAR, basis


def proof(found: Proof) -> wire.Proof:
    """Return the message of a proof."""
    return wire.Proof(
        confidence=found.confidence,
        overlap=found.overlap,
        of_query=found.of_query,
        of_image=found.of_image,
        mirrored=found.mirrored,
        turned=found.turned,
        stretched=found.stretched,
        corners_in_query=_points(found.corners_in_query),
        corners_in_image=_points(found.corners_in_image),
        recoloured=found.recoloured,
        covered=None if found.covered is None else wire.Region(**dict(zip(_SIDES, found.covered, strict=True))),
        inliers=found.inliers,
        bordered=found.bordered,
        cropped=found.cropped,
    )


_SIDES: Final = ("left", "top", "right", "bottom")


def _points(corners: Corners) -> list[wire.Point]:
    return [wire.Point(x=x, y=y) for x, y in corners]
