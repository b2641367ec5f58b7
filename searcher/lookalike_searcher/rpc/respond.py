"""From the domain's types to responses."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from lookalike.constants import NEAR_DUPLICATE
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.database.halfvec import decode
from lookalike_searcher.duplicates.cluster import Cluster
from lookalike_searcher.duplicates.duplicates import Progress
from lookalike_searcher.errors import STATUS
from lookalike_searcher.feedback.feedback import Feedback, Quality
from lookalike_searcher.feedback.feedback import Hit as JudgedHit
from lookalike_searcher.images.export import Block
from lookalike_searcher.images.image import Embedding, Image, Listed, Reference, State
from lookalike_searcher.indexes.index import IndexState, IndexStatus
from lookalike_searcher.projects.registry import Limits, Project
from lookalike_searcher.projects.space import Space
from lookalike_searcher.search import search_id
from lookalike_searcher.search.hit import Hit
from lookalike_searcher.search.space_comparison import Comparison, Figures
from lookalike_searcher.search.types import Ranking
from lookalike_serving.errors import DomainError

_MAX_REFERENCE_BYTES: Final = 8 * 1024 * 1024
"""Of all references in one answer together."""
_VERDICTS: Final = {True: wire.VERDICT_RIGHT, False: wire.VERDICT_WRONG, None: wire.VERDICT_UNSPECIFIED}


_INDEX_STATES: Final[Mapping[IndexState, "wire.IndexState.ValueType"]] = {
    IndexState.NONE: wire.INDEX_STATE_NONE,
    IndexState.PENDING: wire.INDEX_STATE_PENDING,
    IndexState.BUILDING: wire.INDEX_STATE_BUILDING,
    IndexState.READY: wire.INDEX_STATE_READY,
}


def project(found: Project, indexes: Mapping[int, IndexStatus] | None = None) -> wire.Project:
    """A project; with its spaces, if the states of their indexes are given by the spaces' ids."""
    message = wire.Project(
        name=found.name,
        space=found.space,
        image_count=found.image_count,
        reference_count=found.reference_count,
        limits=_limits(found.limits),
        search_disabled=found.search_disabled,
    )
    message.create_time.FromDatetime(found.create_time)
    message.update_time.FromDatetime(found.update_time)
    if indexes is not None:
        known = (space for space in found.spaces if space.id in indexes)  # the others were dropped just now
        in_order = sorted(known, key=lambda space: space.name != found.space)
        message.spaces.extend(_space(space, found, indexes[space.id]) for space in in_order)
    return message


def _limits(limits: Limits) -> wire.Limits:
    return wire.Limits(
        max_images=limits.max_images,
        max_hits=limits.max_hits,
        searches_per_second=limits.searches_per_second,
        max_batch=limits.max_batch,
    )


def _space(space: Space, of: Project, index: IndexStatus) -> wire.Space:
    message = wire.Space(
        name=space.name,
        serves=space.name == of.space,
        source=of.base(space).name if space.source_id else "",
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
    """What became of one entry: whether storing it changed anything, or why it was not stored."""
    if isinstance(outcome, DomainError):
        return wire.EntryResult(error=STATUS.item_error(outcome))
    return wire.EntryResult(indexed=wire.IndexedImage(status=index_status(changed=outcome)))


def acknowledged(request: wire.IndexImagesRequest, results: Iterator[wire.EntryResult]) -> wire.IndexImagesResponse:
    """The acknowledgement of a request, which takes as many of the results as it brought images."""
    if request.entries:
        own = [next(results) for _ in request.entries]
        return wire.IndexImagesResponse(sequence=request.sequence, entries=wire.EntryResults(results=own))
    result = next(results)
    if result.HasField("error"):
        return wire.IndexImagesResponse(sequence=request.sequence, error=result.error)
    return wire.IndexImagesResponse(sequence=request.sequence, indexed=result.indexed)


def index_status(*, changed: bool) -> "wire.IndexStatus.ValueType":
    """Whether storing changed anything."""
    return wire.INDEX_STATUS_INDEXED if changed else wire.INDEX_STATUS_UNCHANGED


def ranking(found: Ranking, next_page_token: str, search_id: str) -> wire.SearchResponse:
    """The answer to a search. References beyond a hit's first are left out once they would fill the message."""
    room = _MAX_REFERENCE_BYTES
    hits = []
    for hit in found.hits:
        hits.append(_hit(hit, found.query.sha256, room))
        room -= hits[-1].ByteSize()
    return wire.SearchResponse(
        hits=hits,
        mode=wire.SEARCH_MODE_EXACT if found.exact else wire.SEARCH_MODE_APPROXIMATE,
        images_ranked=found.images_ranked,
        next_page_token=next_page_token,
        space=found.space,
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


def images(found: Iterable[Image]) -> list[wire.Image]:
    """Images, likewise."""
    room = _MAX_REFERENCE_BYTES
    messages = []
    for image in found:
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
    """As many references as there is room for, but at least one."""
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


def states(found: Iterable[State]) -> wire.CheckReferencesResponse:
    """What is stored of references."""
    return wire.CheckReferencesResponse(
        states=[wire.ReferenceState(sha256=one.sha256, stamp=one.stamp, same_labels=one.same_labels) for one in found]
    )


def listed(found: Listed) -> wire.ListedReference:
    """A reference by itself."""
    return wire.ListedReference(reference=_reference(found.reference), sha256=found.sha256, stamp=found.stamp)


def comparison(found: Comparison) -> wire.CompareSpacesResponse:
    """Two spaces side by side."""
    return wire.CompareSpacesResponse(
        sample_count=found.samples,
        overlap=found.overlap,
        serving=_figures(found.serving),
        other=_figures(found.other),
    )


def _figures(figures: Figures) -> wire.SpaceFigures:
    return wire.SpaceFigures(
        space=figures.space, same_product=figures.same_product, median_seconds=figures.median_seconds
    )


def feedback(found: Feedback) -> wire.Feedback:
    """The feedback on a search."""
    message = wire.Feedback(
        search_id=search_id.text(found.search_id),
        query_sha256=found.query_sha256,
        query_stored=found.query_stored,
        query_embedding=_embedding(found.embedding) if found.embedding else None,
        hits=map(_hit_feedback, found.hits),
    )
    message.search_time.FromDatetime(found.search_time)
    return message


def _embedding(found: Embedding) -> common.Embedding:
    [values] = decode([found.vector])
    return common.Embedding(space=found.space, values=values)


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


def quality(found: Quality) -> wire.GetSearchQualityResponse:
    """How good searches were."""
    said = found.right + found.wrong
    message = wire.GetSearchQualityResponse(
        search_count=found.searches,
        judged_search_count=found.judged,
        clicked_search_count=found.clicked,
        click_through_rate=min(1.0, found.clicked / found.searches) if found.searches else None,
        mean_reciprocal_rank=found.reciprocal_rank,
        right_count=found.right,
        wrong_count=found.wrong,
        precision=found.right / said if said else None,
    )
    message.start_time.FromDatetime(found.since)
    return message


def exported(found: Block, resume_token: str) -> wire.ExportVectorsResponse:
    """Some vectors."""
    vectors = [wire.ImageVector(sha256=one.sha256, products=one.products, values=one.values) for one in found.vectors]
    return wire.ExportVectorsResponse(vectors=vectors, resume_token=resume_token)


def duplicates(found: Progress, resume_token: str) -> wire.FindDuplicatesResponse:
    """A cluster of duplicates, or a sign of progress."""
    return wire.FindDuplicatesResponse(
        cluster=_cluster(found.cluster) if found.cluster else None,
        resume_token=resume_token,
        examined_count=found.place.examined,
        image_count=found.image_count,
    )


def _cluster(found: Cluster) -> wire.DuplicateCluster:
    listed = images(member.image for member in found.members)
    similarities = (member.similarity for member in found.members)
    return wire.DuplicateCluster(
        images=map(_duplicate, listed, similarities),
        image_count=found.image_count,
    )


def _duplicate(image: wire.Image, similarity: float) -> wire.DuplicateImage:
    return wire.DuplicateImage(image=image, similarity=similarity)
