"""Build responses about duplicates and dismissals."""

from typing import Final

from lookalike.constants import NEAR_DUPLICATE
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.copies.proof import Kind
from lookalike_searcher.duplicates.cluster import Cluster, Member
from lookalike_searcher.duplicates.dismissals import Dismissal
from lookalike_searcher.duplicates.duplicates import Progress
from lookalike_searcher.duplicates.keep_rule import KeepRule
from lookalike_searcher.duplicates.survey import Counts
from lookalike_searcher.rpc.respond.image import images
from lookalike_searcher.rpc.respond.proof import proof

_RULES: Final = {rule: wire.KeepRule.Value(f"KEEP_RULE_{rule.name}") for rule in KeepRule}
_PROVEN: Final = {
    Kind.NEAR_DUPLICATE: wire.MATCH_NEAR_DUPLICATE,
    Kind.RECOLOURED: wire.MATCH_RECOLOURED,
}


def duplicates(progress: Progress, resume_token: str) -> wire.FindDuplicatesResponse:
    """Return a cluster of duplicates, or a sign of progress."""
    return wire.FindDuplicatesResponse(
        cluster=_cluster(progress.cluster) if progress.cluster else None,
        resume_token=resume_token,
        examined_count=progress.place.examined,
        image_count=progress.image_count,
        pairs=_pairs(progress.counts) if progress.counts else None,
    )


def dismissal(stored: Dismissal) -> wire.Dismissal:
    """Return the message of a dismissal."""
    message = wire.Dismissal(sha256=stored.sha256, other_sha256=stored.other_sha256)
    message.create_time.FromDatetime(stored.create_time)
    return message


def _pairs(counts: Counts) -> wire.PairCounts:
    return wire.PairCounts(
        near_count=counts.near,
        verified_count=counts.verified,
        proven_count=counts.proven,
        recoloured_count=counts.recoloured,
        cosine_count=counts.by_cosine,
        unverified_count=counts.unverified,
        dismissed_count=counts.dismissed,
    )


def _cluster(cluster: Cluster) -> wire.DuplicateCluster:
    listed = images(member.image for member in cluster.members)
    return wire.DuplicateCluster(
        images=map(_image, listed, cluster.members), image_count=cluster.image_count, keep=_RULES[cluster.keep]
    )


def _image(image: wire.Image, member: Member) -> wire.DuplicateImage:
    message = wire.DuplicateImage(image=image, product_count=member.product_count)
    if fellow := member.fellow:
        message.similarity = max(-1.0, min(1.0, fellow.cosine))  # rounding may exceed 1
        message.nearest_sha256 = member.nearest
        by_cosine = wire.MATCH_NEAR_DUPLICATE if fellow.cosine >= NEAR_DUPLICATE else wire.MATCH_SIMILAR
        message.match = _PROVEN.get(fellow.kind, by_cosine) if fellow.kind else by_cosine
        message.match_basis = _basis(fellow.kind)
    else:
        message.similarity, message.match, message.match_basis = 1, wire.MATCH_EXACT, wire.MATCH_BASIS_FILE
    if member.proof:
        message.proof.CopyFrom(proof(member.proof))
    return message


def _basis(kind: Kind | None) -> "wire.MatchBasis.ValueType":
    if kind in _PROVEN:
        return wire.MATCH_BASIS_FINGERPRINT
    return wire.MATCH_BASIS_COSINE if kind is None else wire.MATCH_BASIS_TOO_LITTLE
