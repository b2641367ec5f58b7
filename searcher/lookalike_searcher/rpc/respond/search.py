"""Build responses about searches and duplicates."""

from typing import Final

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.duplicates.cluster import Cluster
from lookalike_searcher.duplicates.duplicates import Progress
from lookalike_searcher.rpc.respond.image import MAX_REFERENCE_BYTES, add_references, images
from lookalike_searcher.rpc.respond.proof import match, proof
from lookalike_searcher.search.types import Ranking, Reason
from lookalike_searcher.search.verification import Proofs

_REASONS: Final = {reason: wire.SearchReason.Value(f"SEARCH_REASON_{reason.name}") for reason in Reason}


def ranking(answer: Ranking, next_page_token: str, search_id: str, proofs: Proofs) -> wire.SearchResponse:
    """Return the answer to a search. If the message is full, hits have only their first reference."""
    response = wire.SearchResponse(
        mode=wire.SEARCH_MODE_EXACT if answer.reason.exact else wire.SEARCH_MODE_APPROXIMATE,
        images_ranked=answer.images_ranked,
        next_page_token=next_page_token,
        space=answer.space,
        search_id=search_id,
        reason=_REASONS[answer.reason],
        query_featureless=answer.query.featureless,
    )
    room, add = MAX_REFERENCE_BYTES, response.hits.add
    for hit in answer.hits:
        proven = proofs.get(hit.sha256)
        message = add()  # to set its fields takes half as long as to pass them to `add`
        message.similarity = hit.similarity
        message.score = hit.score
        message.match, message.match_basis = match(hit, answer.query, proven)
        message.sha256 = hit.sha256
        message.width, message.height = hit.width, hit.height
        message.product = hit.product
        message.featureless = hit.featureless
        message.reference_count = hit.reference_count
        if proven and proven.is_copy:
            message.proof.CopyFrom(proof(proven))
        room = add_references(message.references, hit.references, room)
    return response


def duplicates(progress: Progress, resume_token: str) -> wire.FindDuplicatesResponse:
    """Return a cluster of duplicates, or a sign of progress."""
    return wire.FindDuplicatesResponse(
        cluster=_cluster(progress.cluster) if progress.cluster else None,
        resume_token=resume_token,
        examined_count=progress.place.examined,
        image_count=progress.image_count,
    )


def _cluster(cluster: Cluster) -> wire.DuplicateCluster:
    listed = images(member.image for member in cluster.members)
    similarities = (member.similarity for member in cluster.members)
    return wire.DuplicateCluster(
        images=map(_duplicate, listed, similarities),
        image_count=cluster.image_count,
    )


def _duplicate(image: wire.Image, similarity: float) -> wire.DuplicateImage:
    return wire.DuplicateImage(image=image, similarity=similarity)
