"""Build the responses to searches, hit by hit."""

from typing import Final

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.rpc.respond.image import MAX_REFERENCE_BYTES, add_references
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
