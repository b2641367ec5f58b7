"""Search by a photo that comes with the request, or by an image of the project."""

import dataclasses
import hashlib
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lookalike.records import Filter
from lookalike_gateway import page_token, respond
from lookalike_gateway.page_token import Page
from lookalike_gateway.parameter import Given
from lookalike_gateway.problems import invalid
from lookalike_gateway.state import Face, face_of

MAX_HITS: Final = 1000


async def by_photo(request: Request, given: Given) -> Response:
    """Search with the photo in the body, or go on with a search."""
    face = face_of(request)
    if given["page_token"]:
        return await _answered(face, given, _continued(given))
    async with face.uploads.photo(request) as data:
        started = time.perf_counter()
        embedding = await face.client.embed(data)
        seconds = time.perf_counter() - started
        sha256 = hashlib.sha256(data).hexdigest()
    return await _answered(face, given, Page({"embedding": embedding, "sha256": sha256}, given["offset"]), seconds)


async def by_image(request: Request, given: Given) -> Response:
    """Search with an image of the project: more like this."""
    named = {name: given[name] for name in ("sha256", "uri", "page_token") if given[name]}
    if len(named) != 1:
        raise invalid("sha256", "exactly one of sha256, uri and page_token is required", sorted(named))
    if "page_token" in named:
        return await _answered(face_of(request), given, _continued(given))
    return await _answered(face_of(request), given, Page(named, given["offset"]))


def _continued(given: Given) -> Page:
    if given["offset"]:
        raise invalid("offset", "must be left out with a page_token", given["offset"])
    return page_token.decode(given["page_token"])


async def _answered(face: Face, given: Given, page: Page, embed_seconds: float = 0.0) -> Response:
    """Ask for the page. An offset without a token means that the hits before it are asked for too, and left out."""
    skipped = 0 if page.page_token else page.offset
    if skipped + given["limit"] > MAX_HITS:
        rule = f"with limit must be at most {MAX_HITS}; beyond, go on with nextPageToken"
        raise invalid("offset", rule, skipped)
    result = await face.client.search(
        given["project"],
        **page.query,
        limit=skipped + given["limit"],
        page_token=page.page_token,
        **how(given),
    )
    last = page.offset - skipped + len(result.hits)
    more = page_token.encode(Page(page.query, last, result.next_page_token)) if result.next_page_token else ""
    shown = dataclasses.replace(result, hits=result.hits[skipped:], embed_seconds=embed_seconds)
    return JSONResponse(respond.search(shown, page.offset, more, given["project"], face.thumbnails))


def how(given: Given) -> dict[str, Any]:
    """Return what is ranked, and how."""
    return {
        "filter": chosen(given),
        "min_similarity": given["min_similarity"],
        "group_by_product": given["group_by"] == "product",
        "exact": given["exact"],
        "rerank": given["rerank"],
    }


def chosen(given: Given) -> Filter | None:
    """Return which images are ranked; None: all."""
    made = Filter(
        products=given["product"],
        variants=given["variant"],
        staged=given["staged"],
        uri_prefix=given["uri_prefix"] or "",
        labels=_labels(given["label"]),
    )
    return made if made != Filter(products=[], variants=[]) else None


def _labels(texts: list[str]) -> Mapping[str, list[str]]:
    """Any of the values of a name, and each of the names."""
    values: defaultdict[str, list[str]] = defaultdict(list)
    for text in texts:
        name, _, value = text.partition("=")
        values[name].append(value)
    return dict(values)
