"""Turn the wire's messages about duplicates into the library's records."""

from datetime import UTC
from typing import Final

from lookalike._operations import decode, decode_proof
from lookalike.records import Dismissal, DuplicateCluster, DuplicateImage, DuplicateProgress, KeepRule, PairCounts
from lookalike.v1 import searcher_pb2 as wire

_RULES: Final = {
    wire.KEEP_RULE_OLDEST: KeepRule.OLDEST,
    wire.KEEP_RULE_MOST_USED: KeepRule.MOST_USED,
}


def progress(message: wire.FindDuplicatesResponse) -> DuplicateProgress:
    """Return how far a search for duplicates has come."""
    pairs = message.pairs
    counts = PairCounts(
        near_count=pairs.near_count,
        verified_count=pairs.verified_count,
        proven_count=pairs.proven_count,
        recoloured_count=pairs.recoloured_count,
        cosine_count=pairs.cosine_count,
        unverified_count=pairs.unverified_count,
        dismissed_count=pairs.dismissed_count,
    )
    return DuplicateProgress(message.examined_count, message.image_count, message.resume_token, counts)


def cluster(message: wire.FindDuplicatesResponse) -> DuplicateCluster:
    """Return the record of a cluster of duplicates."""
    return DuplicateCluster(
        images=tuple(map(_image, message.cluster.images)),
        image_count=message.cluster.image_count,
        progress=progress(message),
        keep=_RULES.get(message.cluster.keep, KeepRule.LARGEST),
    )


def dismissal(message: wire.Dismissal) -> Dismissal:
    """Return the record of a dismissal."""
    said = message.create_time.ToDatetime(tzinfo=UTC)
    return Dismissal(message.sha256.hex(), message.other_sha256.hex(), said)


def _image(message: wire.DuplicateImage) -> DuplicateImage:
    return DuplicateImage(
        image=decode.image(message.image),
        similarity=message.similarity,
        nearest_sha256=message.nearest_sha256.hex(),
        match=decode_proof.match(message.match),
        match_basis=decode_proof.basis(message.match_basis),
        proof=decode_proof.proof(message.proof) if message.HasField("proof") else None,
        product_count=message.product_count,
    )
