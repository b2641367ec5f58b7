"""Turn the wire's messages into the library's records."""

from dataclasses import replace
from datetime import UTC
from typing import Final

from lookalike._operations import decode_proof
from lookalike.records import (
    Embedding,
    Feedback,
    Fingerprint,
    Hit,
    HitFeedback,
    Image,
    ImageVector,
    Model,
    Reference,
    SearchMode,
    SearchQuality,
    SearchReason,
    SearchResult,
    TextEncoder,
    Trial,
    Verdict,
)
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import embedder_pb2, searcher_pb2

_MODES: Final = {
    searcher_pb2.SEARCH_MODE_EXACT: SearchMode.EXACT,
    searcher_pb2.SEARCH_MODE_APPROXIMATE: SearchMode.APPROXIMATE,
}
_REASONS: Final = {
    searcher_pb2.SEARCH_REASON_INDEX: SearchReason.INDEX,
    searcher_pb2.SEARCH_REASON_BELOW_THRESHOLD: SearchReason.BELOW_THRESHOLD,
    searcher_pb2.SEARCH_REASON_INDEX_BUILDING: SearchReason.INDEX_BUILDING,
    searcher_pb2.SEARCH_REASON_ASKED: SearchReason.ASKED,
    searcher_pb2.SEARCH_REASON_FILTER: SearchReason.FILTER,
    searcher_pb2.SEARCH_REASON_FELL_BACK: SearchReason.FELL_BACK,
    searcher_pb2.SEARCH_REASON_EARLIER_PAGE: SearchReason.EARLIER_PAGE,
}
_VERDICTS: Final = {
    searcher_pb2.VERDICT_RIGHT: Verdict.RIGHT,
    searcher_pb2.VERDICT_WRONG: Verdict.WRONG,
}


def model(message: embedder_pb2.GetModelResponse) -> Model:
    """Return the record of the embedder's model."""
    return Model(
        space=message.space,
        dimensions=message.dimensions,
        architecture=message.architecture,
        weights_sha256=message.weights_sha256,
        device=message.device,
        precision=message.precision,
        max_batch_size=message.max_batch_size,
        max_image_bytes=message.max_image_bytes,
        max_image_pixels=message.max_image_pixels,
        formats=tuple(message.formats),
        text_encoder=_text_encoder(message.text_encoder) if message.HasField("text_encoder") else None,
        trials=tuple(Trial(one.way, one.seconds, one.cosine, one.chosen) for one in message.trials),
    )


def _text_encoder(message: embedder_pb2.TextEncoder) -> TextEncoder:
    return TextEncoder(message.max_characters, message.max_tokens)


def embedding(message: common.Embedding) -> Embedding:
    """Return the record of a vector."""
    return Embedding(message.space, tuple(message.values), message.featureless)


def embedded(message: embedder_pb2.EmbedResponse) -> Embedding:
    """Return the record of an image's vector, with its fingerprint and its views if there are any."""
    record = replace(embedding(message.embedding), views=tuple(map(embedding, message.views)))
    if not message.HasField("fingerprint"):
        return record
    held = message.fingerprint
    return replace(record, fingerprint=Fingerprint(held.version, held.picture, held.keypoints))


def image(message: searcher_pb2.Image) -> Image:
    """Return the record of an image."""
    return Image(
        sha256=message.sha256.hex(),
        width=message.width,
        height=message.height,
        create_time=message.create_time.ToDatetime(tzinfo=UTC),
        references=tuple(map(reference, message.references)),
        reference_count=message.reference_count,
        featureless=message.featureless,
        file_size=message.file_size,
    )


def image_vector(message: searcher_pb2.ImageVector) -> ImageVector:
    """Return the record of an image's vector."""
    return ImageVector(
        message.sha256.hex(),
        tuple(message.products),
        message.values,
        message.featureless,
        tuple(message.variants),
        tuple(message.label_values),
    )


def search_result(message: searcher_pb2.SearchResponse, embed_seconds: float, search_seconds: float) -> SearchResult:
    """Return the answer to a search."""
    return SearchResult(
        hits=tuple(map(_hit, message.hits)),
        mode=_MODES.get(message.mode, SearchMode.OTHER),
        images_ranked=message.images_ranked,
        next_page_token=message.next_page_token,
        space=message.space,
        embed_seconds=embed_seconds,
        search_seconds=search_seconds,
        search_id=message.search_id,
        reason=_REASONS.get(message.reason, SearchReason.OTHER),
        query_featureless=message.query_featureless,
    )


def _hit(message: searcher_pb2.Hit) -> Hit:
    return Hit(
        similarity=message.similarity,
        match=decode_proof.match(message.match),
        sha256=message.sha256.hex(),
        width=message.width,
        height=message.height,
        references=tuple(map(reference, message.references)),
        reference_count=message.reference_count,
        product=message.product,
        score=message.score,
        featureless=message.featureless,
        match_basis=decode_proof.basis(message.match_basis),
        proof=decode_proof.proof(message.proof) if message.HasField("proof") else None,
    )


def feedback(message: searcher_pb2.Feedback) -> Feedback:
    """Return the feedback on a search."""
    return Feedback(
        search_id=message.search_id,
        search_time=message.search_time.ToDatetime(tzinfo=UTC),
        query_sha256=message.query_sha256.hex(),
        query_stored=message.query_stored,
        query_embedding=embedding(message.query_embedding) if message.HasField("query_embedding") else None,
        hits=tuple(map(_hit_feedback, message.hits)),
    )


def _hit_feedback(message: searcher_pb2.HitFeedback) -> HitFeedback:
    return HitFeedback(
        sha256=message.sha256.hex(),
        rank=message.rank,
        verdict=_VERDICTS.get(message.verdict),
        clicked=message.clicked,
        stored=message.stored,
        update_time=message.update_time.ToDatetime(tzinfo=UTC),
    )


def quality(message: searcher_pb2.GetSearchQualityResponse) -> SearchQuality:
    """Return how good the searches were."""
    return SearchQuality(
        start_time=message.start_time.ToDatetime(tzinfo=UTC),
        search_count=message.search_count,
        judged_search_count=message.judged_search_count,
        clicked_search_count=message.clicked_search_count,
        click_through_rate=message.click_through_rate if message.HasField("click_through_rate") else None,
        mean_reciprocal_rank=message.mean_reciprocal_rank if message.HasField("mean_reciprocal_rank") else None,
        right_count=message.right_count,
        wrong_count=message.wrong_count,
        precision=message.precision if message.HasField("precision") else None,
    )


def reference(message: searcher_pb2.Reference) -> Reference:
    """Return where an image is used."""
    return Reference(message.uri, message.product, message.variant, message.staged, dict(message.labels))
