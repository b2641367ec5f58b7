"""Turn the wire's matches and proofs into the library's records."""

from typing import Final

from lookalike.records import Match, MatchBasis, Point, Proof, Region
from lookalike.v1 import searcher_pb2

_MATCHES: Final = {
    searcher_pb2.MATCH_EXACT: Match.EXACT,
    searcher_pb2.MATCH_NEAR_DUPLICATE: Match.NEAR_DUPLICATE,
    searcher_pb2.MATCH_SIMILAR: Match.SIMILAR,
    searcher_pb2.MATCH_RECOLOURED: Match.RECOLOURED,
}
_BASES: Final = {
    searcher_pb2.MATCH_BASIS_FILE: MatchBasis.FILE,
    searcher_pb2.MATCH_BASIS_COSINE: MatchBasis.COSINE,
    searcher_pb2.MATCH_BASIS_FINGERPRINT: MatchBasis.FINGERPRINT,
    searcher_pb2.MATCH_BASIS_TOO_LITTLE: MatchBasis.TOO_LITTLE,
}


def match(value: "searcher_pb2.Match.ValueType") -> Match:
    """Return what kind of likeness it is."""
    return _MATCHES.get(value, Match.SIMILAR)


def basis(value: "searcher_pb2.MatchBasis.ValueType") -> MatchBasis:
    """Return how a match was found out."""
    return _BASES.get(value, MatchBasis.OTHER)


def proof(message: searcher_pb2.Proof) -> Proof:
    """Return the record of a proof."""
    covered = message.covered
    return Proof(
        confidence=message.confidence,
        overlap=message.overlap,
        of_query=message.of_query,
        of_image=message.of_image,
        mirrored=message.mirrored,
        turned=message.turned,
        stretched=message.stretched,
        corners_in_query=tuple(Point(point.x, point.y) for point in message.corners_in_query),
        corners_in_image=tuple(Point(point.x, point.y) for point in message.corners_in_image),
        recoloured=message.recoloured,
        covered=Region(covered.left, covered.top, covered.right, covered.bottom)
        if message.HasField("covered")
        else None,
        inliers=message.inliers,
        bordered=message.bordered,
        cropped=message.cropped,
    )
