"""Build responses from the domain's types."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.database.halfvec import decode
from lookalike_searcher.duplicates.cluster import Cluster
from lookalike_searcher.duplicates.duplicates import Progress
from lookalike_searcher.errors import STATUS
from lookalike_searcher.feedback.feedback import Feedback
from lookalike_searcher.feedback.feedback import Hit as JudgedHit
from lookalike_searcher.feedback.quality import Quality
from lookalike_searcher.images.export import Block
from lookalike_searcher.images.image import Embedding, Image, Listed, Reference, State
from lookalike_searcher.indexes.index import IndexState, IndexStatus
from lookalike_searcher.projects.registry import Limits, Project
from lookalike_searcher.projects.space import Space
from lookalike_searcher.search import search_id
from lookalike_searcher.search.hit import Hit
from lookalike_searcher.search.space_comparison import Comparison, Figures
from lookalike_searcher.search.types import NEAR_DUPLICATE, Ranking
from lookalike_serving.errors import DomainError

_MAX_REFERENCE_BYTES: Final = 8 * 1024 * 1024
"""All references in one answer together may take so many bytes."""
_VERDICTS: Final = {True: wire.VERDICT_RIGHT, False: wire.VERDICT_WRONG, None: wire.VERDICT_UNSPECIFIED}


_INDEX_STATES: Final[Mapping[IndexState, "wire.IndexState.ValueType"]] = {
    IndexState.NONE: wire.INDEX_STATE_NONE,
    IndexState.PENDING: wire.INDEX_STATE_PENDING,
    IndexState.BUILDING: wire.INDEX_STATE_BUILDING,
    IndexState.READY: wire.INDEX_STATE_READY,
}


def project(stored: Project, indexes: Mapping[int, IndexStatus] | None = None) -> wire.Project:
    """Return a project, with its spaces if the states of their indexes are given by the spaces' ids."""
    message = wire.Project(
        name=stored.name,
        space=stored.space,
        image_count=stored.image_count,
        reference_count=stored.reference_count,
        limits=_limits(stored.limits),
        search_disabled=stored.search_disabled,
    )
    message.create_time.FromDatetime(stored.create_time)
    message.update_time.FromDatetime(stored.update_time)
    if indexes is not None:
        known = (space for space in stored.spaces if space.id in indexes)  # other spaces have just been dropped
        in_order = sorted(known, key=lambda space: space.name != stored.space)
        message.spaces.extend(_space(space, stored, indexes[space.id]) for space in in_order)
    return message


def _limits(limits: Limits) -> wire.Limits:
    return wire.Limits(
        max_images=limits.max_images,
        max_hits=limits.max_hits,
        searches_per_second=limits.searches_per_second,
        max_batch=limits.max_batch,
    )


def _space(space: Space, project: Project, index: IndexStatus) -> wire.Space:
    message = wire.Space(
        name=space.name,
        serves=space.name == project.space,
        source=project.base(space).name if space.source_id else "",
        vector_count=index.vector_count,
        index=wire.Index(
            state=_INDEX_STATES[index.state],
            progress=index.progress,
            phase=index.phase,
            recall=space.recall if space.recall_count else None,
            ef_search=(space.ef_search(10) or 0),
        ),
    )
    message.create_time.FromDatetime(space.create_time)
    return message


def indexed(outcome: bool | DomainError) -> wire.EntryResult:
    """Return the result of one entry: whether storing it changed anything, or why it was not stored."""
    if isinstance(outcome, DomainError):
        return wire.EntryResult(error=STATUS.item_error(outcome))
    return wire.EntryResult(indexed=wire.IndexedImage(status=index_status(changed=outcome)))


def acknowledged(request: wire.IndexImagesRequest, results: Iterator[wire.EntryResult]) -> wire.IndexImagesResponse:
    """Return the acknowledgement of a request, which takes one of the results for each of its entries."""
    if request.entries:
        own = [next(results) for _ in request.entries]
        return wire.IndexImagesResponse(sequence=request.sequence, entries=wire.EntryResults(results=own))
    result = next(results)
    if result.HasField("error"):
        return wire.IndexImagesResponse(sequence=request.sequence, error=result.error)
    return wire.IndexImagesResponse(sequence=request.sequence, indexed=result.indexed)


def index_status(*, changed: bool) -> "wire.IndexStatus.ValueType":
    """Return the status of an image that is stored."""
    return wire.INDEX_STATUS_INDEXED if changed else wire.INDEX_STATUS_UNCHANGED


def ranking(answer: Ranking, next_page_token: str, search_id: str) -> wire.SearchResponse:
    """Return the answer to a search. If the message is full, hits have only their first reference."""
    room = _MAX_REFERENCE_BYTES
    hits = []
    for hit in answer.hits:
        hits.append(_hit(hit, answer.query.sha256, room))
        room -= hits[-1].ByteSize()
    return wire.SearchResponse(
        hits=hits,
        mode=wire.SEARCH_MODE_EXACT if answer.exact else wire.SEARCH_MODE_APPROXIMATE,
        images_ranked=answer.images_ranked,
        next_page_token=next_page_token,
        space=answer.space,
        search_id=search_id,
    )


def _hit(hit: Hit, query_sha256: bytes, room: int) -> wire.Hit:
    return wire.Hit(
        similarity=hit.similarity,
        match=_match(hit, query_sha256),
        sha256=hit.sha256,
        width=hit.width,
        height=hit.height,
        references=_listed(hit.references, room),
        reference_count=hit.reference_count,
        product=hit.product,
        score=hit.score,
    )


def _match(hit: Hit, query_sha256: bytes) -> "wire.Match.ValueType":
    if hit.sha256 == query_sha256:
        return wire.MATCH_EXACT
    return wire.MATCH_NEAR_DUPLICATE if hit.likeness >= NEAR_DUPLICATE else wire.MATCH_SIMILAR


def images(stored: Iterable[Image]) -> list[wire.Image]:
    """Return the messages of images. If the message is full, they have only their first reference."""
    room = _MAX_REFERENCE_BYTES
    messages = []
    for image in stored:
        messages.append(_image(image, room))
        room -= messages[-1].ByteSize()
    return messages


def _image(image: Image, room: int) -> wire.Image:
    message = wire.Image(
        sha256=image.sha256,
        width=image.width,
        height=image.height,
        references=_listed(image.references, room),
        reference_count=image.reference_count,
    )
    message.create_time.FromDatetime(image.create_time)
    return message


def _listed(references: Iterable[Reference], room: int) -> list[wire.Reference]:
    """Return as many references as there is room for, but at least one."""
    listed: list[wire.Reference] = []
    for message in map(_reference, references):
        room -= message.ByteSize()
        if listed and room < 0:
            break
        listed.append(message)
    return listed


def _reference(reference: Reference) -> wire.Reference:
    return wire.Reference(
        uri=reference.uri,
        product=reference.product,
        variant=reference.variant,
        staged=reference.staged,
        labels=reference.labels,
    )


def states(stored: Iterable[State]) -> wire.CheckReferencesResponse:
    """Return the stored states of references."""
    return wire.CheckReferencesResponse(
        states=[
            wire.ReferenceState(sha256=state.sha256, stamp=state.stamp, same_labels=state.same_labels)
            for state in stored
        ]
    )


def listed(listing: Listed) -> wire.ListedReference:
    """Return a reference by itself, with its image's hash."""
    return wire.ListedReference(reference=_reference(listing.reference), sha256=listing.sha256, stamp=listing.stamp)


def comparison(compared: Comparison) -> wire.CompareSpacesResponse:
    """Return the comparison of two spaces over the same queries."""
    return wire.CompareSpacesResponse(
        sample_count=compared.samples,
        overlap=compared.overlap,
        serving=_figures(compared.serving),
        other=_figures(compared.other),
    )


def _figures(figures: Figures) -> wire.SpaceFigures:
    return wire.SpaceFigures(
        space=figures.space, same_product=figures.same_product, median_seconds=figures.median_seconds
    )


def feedback(stored: Feedback) -> wire.Feedback:
    """Return the stored feedback on a search."""
    message = wire.Feedback(
        search_id=search_id.text(stored.search_id),
        query_sha256=stored.query_sha256,
        query_stored=stored.query_stored,
        query_embedding=_embedding(stored.embedding) if stored.embedding else None,
        hits=map(_hit_feedback, stored.hits),
    )
    message.search_time.FromDatetime(stored.search_time)
    return message


def _embedding(embedding: Embedding) -> common.Embedding:
    [values] = decode([embedding.vector])
    return common.Embedding(space=embedding.space, values=values)


def _hit_feedback(hit: JudgedHit) -> wire.HitFeedback:
    message = wire.HitFeedback(
        sha256=hit.sha256,
        rank=hit.verdict.rank,
        verdict=_VERDICTS[hit.verdict.right],
        clicked=hit.verdict.clicked,
        stored=hit.stored,
    )
    message.update_time.FromDatetime(hit.update_time)
    return message


def quality(figures: Quality) -> wire.GetSearchQualityResponse:
    """Return the figures of how good searches were."""
    judged_hits = figures.right + figures.wrong
    message = wire.GetSearchQualityResponse(
        search_count=figures.searches,
        judged_search_count=figures.judged,
        clicked_search_count=figures.clicked,
        click_through_rate=min(1.0, figures.clicked / figures.searches) if figures.searches else None,
        mean_reciprocal_rank=figures.reciprocal_rank,
        right_count=figures.right,
        wrong_count=figures.wrong,
        precision=figures.right / judged_hits if judged_hits else None,
    )
    message.start_time.FromDatetime(figures.since)
    return message


def exported(block: Block, resume_token: str) -> wire.ExportVectorsResponse:
    """Return a block of exported vectors, and the token to resume after it."""
    vectors = [
        wire.ImageVector(sha256=vector.sha256, products=vector.products, values=vector.values)
        for vector in block.vectors
    ]
    return wire.ExportVectorsResponse(vectors=vectors, resume_token=resume_token)


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
