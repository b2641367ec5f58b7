"""From the library's records to JSON; `schema` describes what comes out."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from lookalike.records import (
    DuplicateCluster,
    DuplicateProgress,
    Hit,
    Image,
    Project,
    Reference,
    SearchQuality,
    SearchResult,
    Space,
)
from lookalike_gateway.thumbnail import Thumbnails

Json = dict[str, Any]


def search(result: SearchResult, offset: int, next_page_token: str, name: str, thumbnails: Thumbnails) -> Json:
    """Return the answer to a search, without the hits that come before the offset."""
    return {
        "count": len(result.hits),
        "offset": offset,
        "total": result.images_ranked,
        "results": [
            {"rank": rank, **_hit(hit, name, thumbnails)} for rank, hit in enumerate(result.hits, start=offset + 1)
        ],
        "nextPageToken": next_page_token,
        "mode": result.mode,
        "imagesRanked": result.images_ranked,
        "space": result.space,
        "searchId": result.search_id,
        "timing": {
            "embedMs": round(result.embed_seconds * 1000, 3),
            "searchMs": round(result.search_seconds * 1000, 3),
        },
    }


def quality(found: SearchQuality) -> Json:
    """Return how good searches were."""
    return {
        "startTime": _time(found.start_time),
        "searches": found.search_count,
        "judgedSearches": found.judged_search_count,
        "clickedSearches": found.clicked_search_count,
        "clickThroughRate": found.click_through_rate,
        "meanReciprocalRank": found.mean_reciprocal_rank,
        "right": found.right_count,
        "wrong": found.wrong_count,
        "precision": found.precision,
    }


def _hit(hit: Hit, project_name: str, thumbnails: Thumbnails) -> Json:
    return {
        "similarity": round(hit.similarity, 6),
        "score": round(hit.score, 6),
        "match": hit.match,
        "product": hit.product or None,
        **_shown(hit, project_name, thumbnails),
    }


def image(found: Image, project_name: str, thumbnails: Thumbnails) -> Json:
    """Return an image of a project."""
    return {**_shown(found, project_name, thumbnails), "createTime": _time(found.create_time)}


def _shown(found: Hit | Image, project_name: str, thumbnails: Thumbnails) -> Json:
    """What hits and images have in common."""
    has_thumbnail = any(thumbnails.likely(reference.uri) for reference in found.references)
    return {
        "imageUrl": found.references[0].uri,
        "thumbnailUrl": f"/v1/projects/{project_name}/images/{found.sha256}/thumbnail" if has_thumbnail else None,
        "sha256": found.sha256,
        "width": found.width,
        "height": found.height,
        "productVariants": _variants(found.references),
        "references": [_reference(reference) for reference in found.references],
        "referenceCount": found.reference_count,
    }


def _variants(references: Iterable[Reference]) -> list[Json]:
    """The products that an image shows, each once."""
    keys = dict.fromkeys((one.product, one.variant, one.staged) for one in references if one.product)
    return [{"product": product, "variantId": variant, "staged": staged} for product, variant, staged in keys]


def _reference(one: Reference) -> Json:
    return {
        "uri": one.uri,
        "product": one.product,
        "variantId": one.variant,
        "staged": one.staged,
        "labels": dict(one.labels),
    }


def project(found: Project) -> Json:
    """A project; in a list, `spaces` is empty."""
    limits = found.limits
    return {
        "name": found.name,
        "searchEnabled": found.search_enabled,
        "imagesIndexed": found.image_count,
        "references": found.reference_count,
        "lastIndexedAt": _time(found.update_time) if found.update_time > found.create_time else None,
        "createTime": _time(found.create_time),
        "space": found.space,
        "limits": {
            "maxImages": limits.max_images,
            "maxHits": limits.max_hits,
            "searchesPerSecond": limits.searches_per_second,
            "maxBatch": limits.max_batch,
        },
        "spaces": [_space(space) for space in found.spaces],
    }


def _space(space: Space) -> Json:
    index = space.index
    return {
        "name": space.name,
        "serves": space.serves,
        "vectors": space.vector_count,
        "index": {
            "state": index.state,
            "progress": round(index.progress, 4),
            "phase": index.phase,
            "recall": index.recall,
        },
    }


def cluster(found: DuplicateCluster, project_name: str, thumbnails: Thumbnails) -> Json:
    """Return images that are duplicates of one another."""
    return {
        "imageCount": found.image_count,
        "images": [
            {"similarity": round(one.similarity, 6), **image(one.image, project_name, thumbnails)}
            for one in found.images
        ],
    }


def progress(found: DuplicateProgress) -> Json:
    """Return how far a search for duplicates has come."""
    return {
        "imagesExamined": found.examined_count,
        "images": found.image_count,
        "resumeToken": found.resume_token,
    }


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
