"""The routes and the OpenAPI document are made of this list of operations."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lookalike_gateway import duplicates, feedback, health, images, projects, search
from lookalike_gateway.parameter import Given, Parameter
from lookalike_gateway.thumbnail import SIZES

Handler = Callable[[Request, Given], Awaitable[Response]]

PHOTO: Final = ("image/*", "application/octet-stream", "multipart/form-data")
JSON: Final = "application/json"


@dataclass(frozen=True)
class Operation:
    """An operation is what one route does.

    Attributes:
        name: its operationId.
        method: GET, POST or PATCH.
        path: with its parameters in braces.
        handler: does it.
        summary: a line.
        description: the rest.
        answer: the name of what comes back, in `schema`; empty for what is no JSON.
        parameters: what it takes.
        body: the media types that it takes.
        takes: the name, in `schema`, of a body that is JSON.
        problems: the statuses of its refusals, besides those that anything may have.
        media: the media type of what comes back.
        rpc: the searcher's RPC that it stands for, whose permission it needs; empty: anybody may do it.
    """

    name: str
    method: str
    path: str
    handler: Handler
    summary: str
    description: str
    answer: str
    parameters: tuple[Parameter, ...] = ()
    body: tuple[str, ...] = ()
    problems: tuple[int, ...] = ()
    media: str = JSON
    takes: str = ""
    rpc: str = ""


def _text(name: str, description: str, **words: object) -> Parameter:
    return Parameter(name, {"type": "string", **words}, description)


def _flag(name: str, description: str) -> Parameter:
    return Parameter(name, {"type": "boolean", "default": False}, description)


def _whole(name: str, least: int, most: int, default: int, description: str) -> Parameter:
    return Parameter(name, {"type": "integer", "minimum": least, "maximum": most, "default": default}, description)


def _several(name: str, description: str, most: int, **words: object) -> Parameter:
    items = {"type": "string", **words}
    return Parameter(name, {"type": "array", "maxItems": most, "items": items}, description)


_PROJECT: Final = Parameter(
    "project",
    {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"},
    "The project's name.",
    place="path",
    example="shop",
)
_SHA256: Final = Parameter(
    "sha256",
    {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "The image file's hash, in hexadecimal.",
    place="path",
    example="0" * 64,
)
_PAGE_TOKEN: Final = _text(
    "page_token", "Where to go on: `nextPageToken` of the page before; all else stays the same.", maxLength=8192
)
_FILTER: Final = (
    _several("product", "Only of this product; several: any of them.", 100, minLength=1, maxLength=256),
    _several("variant", "Only of this variant; several: any of them.", 100, minLength=1, maxLength=256),
    Parameter("staged", {"type": "boolean"}, "Only staged ones, or only those that are not."),
    _several(
        "label",
        "Only with this label, `name=value`; several: any of the values of a name, and each of the names.",
        64,
        pattern="^[^=]+=",
        maxLength=321,
    ),
    _text("uri_prefix", "Only where the URI begins with this.", minLength=1, maxLength=2048),
)
_SEARCH: Final = (
    _PROJECT,
    _whole("limit", 1, search.MAX_HITS, 10, "The most results."),
    _whole("offset", 0, search.MAX_HITS - 1, 0, "Results to leave out; with limit at most 1,000. Or else page_token."),
    Parameter(
        _PAGE_TOKEN.name, _PAGE_TOKEN.schema, _PAGE_TOKEN.description + " It carries the query: nothing is sent again."
    ),
    Parameter("group_by", {"type": "string", "enum": ["product"]}, "`product`: rank products, by their best image."),
    *_FILTER,
    Parameter("min_similarity", {"type": "number", "minimum": -1, "maximum": 1}, "The least similarity of results."),
    _flag("exact", "Compare every image, whatever it takes."),
    _whole("rerank", 0, search.MAX_HITS, 0, "Put so many of the nearest in order anew; there is one page then."),
)
_DUPLICATES: Final = (
    _PROJECT,
    Parameter("min_similarity", {"type": "number", "minimum": 0.5, "maximum": 1}, "Of near duplicates."),
    _flag("same_file_only", "Only files that are used in several places."),
    _text("resume_token", "Where to go on: `resumeToken` of an answer; all else stays the same.", maxLength=8192),
)

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "searchByPhoto",
        "POST",
        "/v1/projects/{project}/image-search",
        search.by_photo,
        "Search with a photo",
        "The photo is the body, or the file of a form. With `page_token` no body is needed.",
        "SearchResult",
        _SEARCH,
        PHOTO,
        (404, 408, 409, 413, 415, 422),
        rpc="Search",
    ),
    Operation(
        "searchByImage",
        "GET",
        "/v1/projects/{project}/image-search",
        search.by_image,
        "More like an image of the project",
        "Exactly one of `sha256`, `uri` and `page_token` says which; the image itself is the first result.",
        "SearchResult",
        (
            *_SEARCH,
            _text("sha256", "The image with this hash.", pattern="^[0-9a-f]{64}$"),
            _text(
                "uri",
                "The image that is used at this URI; of several, the newest reference's.",
                minLength=1,
                maxLength=2048,
            ),
        ),
        (),
        (404, 409),
        rpc="Search",
    ),
    Operation(
        "listImages",
        "GET",
        "/v1/projects/{project}/images",
        images.listed,
        "List images",
        "In the order in which they were first indexed.",
        "ImagePage",
        (_PROJECT, _whole("limit", 1, 500, 50, "The most images."), _PAGE_TOKEN, *_FILTER),
        (),
        (404,),
        rpc="ListImages",
    ),
    Operation(
        "getImage",
        "GET",
        "/v1/projects/{project}/images/{sha256}",
        images.shown,
        "One image",
        "With the places where it is used.",
        "Image",
        (_PROJECT, _SHA256),
        (),
        (404,),
        rpc="GetImage",
    ),
    Operation(
        "getThumbnail",
        "GET",
        "/v1/projects/{project}/images/{sha256}/thumbnail",
        images.thumbnail,
        "A small picture of an image",
        "Only of local files below a configured root that still hold what was indexed. URLs are never fetched.",
        "",
        (
            _PROJECT,
            _SHA256,
            Parameter("size", {"type": "integer", "enum": list(SIZES), "default": 320}, "The longer side, in pixels."),
        ),
        (),
        (404,),
        "image/jpeg",
        rpc="GetImage",
    ),
    Operation(
        "findDuplicates",
        "GET",
        "/v1/projects/{project}/duplicates",
        duplicates.page,
        "Find duplicates, some at a time",
        "Go on with `progress.resumeToken` until `complete`.",
        "DuplicatePage",
        (
            *_DUPLICATES,
            _whole("limit", 1, 100, 20, "The most clusters."),
            _whole("max_seconds", 1, 30, 10, "Answer after this time with what there is; but always come some way."),
        ),
        (),
        (404,),
        rpc="FindDuplicates",
    ),
    Operation(
        "streamDuplicates",
        "GET",
        "/v1/projects/{project}/duplicates.ndjson",
        duplicates.stream,
        "Find all duplicates, as a stream",
        "A line of JSON for each cluster, with `cluster` and `progress`; a failure on the way is last, as `problem`.",
        "",
        _DUPLICATES,
        (),
        (404,),
        "application/x-ndjson",
        rpc="FindDuplicates",
    ),
    Operation(
        "listProjects",
        "GET",
        "/v1/projects",
        projects.listed,
        "List projects",
        "By name, without their spaces.",
        "ProjectPage",
        (_whole("limit", 1, 500, 50, "The most projects."), _PAGE_TOKEN),
        rpc="ListProjects",
    ),
    Operation(
        "getProject",
        "GET",
        "/v1/projects/{project}",
        projects.shown,
        "A project's state",
        "How many images are indexed, when the last one was, and how far the indexes of its spaces are.",
        "Project",
        (_PROJECT,),
        (),
        (404,),
        rpc="GetProject",
    ),
    Operation(
        "switchProject",
        "PATCH",
        "/v1/projects/{project}",
        projects.switched,
        "Switch a project's searches on or off",
        "While they are off, searches are refused with 409, SEARCH_DISABLED. All else goes on.",
        "Project",
        (_PROJECT,),
        (JSON,),
        (404, 408, 413, 415),
        takes="ProjectChange",
        rpc="UpdateProject",
    ),
    Operation(
        "recordFeedback",
        "POST",
        "/v1/projects/{project}/feedback",
        feedback.recorded,
        "Say which results were right, wrong or clicked",
        "The same again changes nothing. The photo that was searched with is not stored, nor anything made of it.",
        "FeedbackRecorded",
        (_PROJECT,),
        (JSON,),
        (404, 408, 413, 415),
        takes="Feedback",
        rpc="RecordFeedback",
    ),
    Operation(
        "getQuality",
        "GET",
        "/v1/projects/{project}/quality",
        feedback.quality,
        "How good a project's searches are",
        "By what was said and clicked, over the last days.",
        "SearchQuality",
        (_PROJECT, _whole("days", 1, 365, 7, "How many days, in UTC, the present one included.")),
        (),
        (404,),
        rpc="GetSearchQuality",
    ),
    Operation("live", "GET", "/healthz", health.live, "Whether the process answers", "", "Health"),
    Operation(
        "ready",
        "GET",
        "/readyz",
        health.ready,
        "Whether both servers answer",
        "503 if one does not.",
        "Health",
    ),
)

COMMON_PROBLEMS: Final[Mapping[int, str]] = {
    400: "A parameter or a field breaks a rule.",
    401: "A token is missing, has expired, or is not one that is accepted; WWW-Authenticate says which.",
    403: "The token lacks the scope, or is not for the project, whether there is one or not.",
    404: "There is no such project or image, or nothing that may be shown.",
    408: "The body came too slowly.",
    409: "The request does not fit the project's state: its searches are off, or it is of another space.",
    413: "The body, or the photo, is too large.",
    415: "The body is of a type, or the photo of a format, that is not taken.",
    422: "The photo is broken.",
    429: "A limit is reached; Retry-After says when to come back.",
    502: "A server failed.",
    503: "A server cannot be reached, or there is too much to do; Retry-After says when to come back.",
    504: "A server did not answer in time.",
}
ANYWHERE: Final = (400, 401, 403, 429, 502, 503, 504)
"""Problems that any operation under /v1 may have."""
