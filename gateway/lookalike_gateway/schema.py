"""Describe the JSON that `respond` and `problems` make, in JSON Schema."""

from collections.abc import Mapping
from typing import Any, Final

from lookalike_gateway.feedback import MAX_RANK, MAX_VERDICTS, SEARCH_ID, SHA256

Json = dict[str, Any]


def _object(description: str, properties: Mapping[str, Json], optional: tuple[str, ...] = ()) -> Json:
    return {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _text(description: str, **words: object) -> Json:
    return {"type": "string", "description": description, **words}


def _count(description: str) -> Json:
    return {"type": "integer", "minimum": 0, "description": description}


def _number(description: str, **words: object) -> Json:
    return {"type": "number", "description": description, **words}


def _flag(description: str) -> Json:
    return {"type": "boolean", "description": description}


def _list(name: str, description: str = "") -> Json:
    return {"type": "array", "items": ref(name), "description": description}


def _maybe(schema: Json) -> Json:
    return {**schema, "type": [schema["type"], "null"]}


def ref(name: str) -> Json:
    """Return a reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


_VARIANT: Final = {
    "product": _text("The product."),
    "variantId": _text("Its variant; empty if there is none."),
    "staged": _flag("Whether this is the product's staged (not yet published) version."),
}
_SHOWN: Final = {
    "imageUrl": _text("Where the image is used: the URI of its oldest reference."),
    "thumbnailUrl": _maybe(
        _text("A small JPEG, if the image is a local file below a configured root; see `size` there.")
    ),
    "sha256": _text("The image file's hash, in hexadecimal.", pattern="^[0-9a-f]{64}$"),
    "width": _count("In pixels; 0 if unknown."),
    "height": _count("In pixels; 0 if unknown."),
    "productVariants": _list("ProductVariant", "The products that the image shows, each once."),
    "references": _list(
        "Reference", "Where the image is used, oldest first: at most 100; with a filter, what passes it."
    ),
    "referenceCount": _count("How many such places there are."),
}
_SIMILARITY: Final = _number("Cosine, from -1 to 1.", minimum=-1.001, maximum=1.001)
_PAGE_TOKEN: Final = _text("Where the next page begins: `page_token` of the next request; empty on the last page.")

SCHEMAS: Final[Mapping[str, Json]] = {
    "SearchResult": _object(
        "The answer to a search.",
        {
            "count": _count("How many results this page has."),
            "offset": _count("How many results came before."),
            "total": _count("How many images were ranked, which is the most results that all pages together can have."),
            "results": _list("Result", "By their score."),
            "nextPageToken": _PAGE_TOKEN,
            "mode": _text("How the ranking was made: `exact`, every image was compared; `approximate`, by an index."),
            "imagesRanked": _count("Over how many images: where the filter was applied first, those that pass it."),
            "space": _text("The embedding space that was searched."),
            "searchId": _text("What feedback calls the search: the same on all its pages."),
            "timing": _object(
                "How long it took, in milliseconds, as the face saw it.",
                {"embedMs": _number("The embedder; 0 if it was not asked."), "searchMs": _number("The searcher.")},
            ),
        },
    ),
    "Result": _object(
        "A similar image.",
        {
            "rank": {"type": "integer", "minimum": 1, "description": "From 1 on, over all pages."},
            "similarity": _SIMILARITY,
            "score": _number("What results are ordered by: the similarity, unless they were re-ranked."),
            "match": _text(
                "`exact`: the same file; `near-duplicate`: the same photo, slightly changed; `similar`: another one.",
                enum=["exact", "near-duplicate", "similar"],
            ),
            "product": _maybe(_text("Grouped by product, the one that the result stands for.")),
            **_SHOWN,
        },
    ),
    "ProductVariant": _object("A product that an image shows.", _VARIANT),
    "Reference": _object(
        "A place where an image is used.",
        {
            "uri": _text("Where the image lives."),
            **_VARIANT,
            "labels": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Its labels."},
        },
    ),
    "Image": _object(
        "An image of a project.", {**_SHOWN, "createTime": _text("When it was first indexed.", format="date-time")}
    ),
    "ImagePage": _object("Some images.", {"images": _list("Image"), "nextPageToken": _PAGE_TOKEN}),
    "Project": _object(
        "A set of images that are searched together.",
        {
            "name": _text("Its name."),
            "searchEnabled": _flag("Whether it can be searched."),
            "imagesIndexed": _count("How many different images it holds."),
            "references": _count("In how many places they are used."),
            "lastIndexedAt": _maybe(
                _text("When images or references last changed; null if they never did.", format="date-time")
            ),
            "createTime": _text("When it was created.", format="date-time"),
            "space": _text("The embedding space that serves."),
            "limits": _object(
                "0 stands for the searcher's own limit.",
                {
                    "maxImages": _count("The most images."),
                    "maxHits": _count("The most results of a page."),
                    "searchesPerSecond": _number("At each searcher.", minimum=0),
                    "maxBatch": _count("The most searches of a batch, over gRPC."),
                },
            ),
            "spaces": _list("Space", "The serving one first; empty in a list of projects."),
        },
    ),
    "Space": _object(
        "An embedding space of a project.",
        {
            "name": _text("Its name."),
            "serves": _flag("Whether searches are made in it."),
            "vectors": _count("How many images have a vector in it."),
            "index": _object(
                "Its approximate index.",
                {
                    "state": _text(
                        "`none`: not needed; `pending`, `building`: until it is `ready`, searches are exact.",
                        enum=["none", "pending", "building", "ready", "other"],
                    ),
                    "progress": _number("While it is built, of the present phase.", minimum=0, maximum=1),
                    "phase": _text("While it is built, in PostgreSQL's words."),
                    "recall": _maybe(_number("Share of the true nearest found lately; null before the first sample.")),
                },
            ),
        },
    ),
    "ProjectPage": _object("Some projects, by name.", {"projects": _list("Project"), "nextPageToken": _PAGE_TOKEN}),
    "ProjectChange": _object("What is to change.", {"searchEnabled": _flag("Whether the project can be searched.")}),
    "Feedback": _object(
        "What somebody thought of a search's results.",
        {
            "searchId": _text("Of the search's answer.", pattern=SEARCH_ID, examples=["AAAAB2kjTkDyw3pXJm9Qng"]),
            "querySha256": _text(
                "The hash of the photo that was searched with, if it is to be learnt from.", pattern=SHA256
            ),
            "verdicts": {
                "type": "array",
                "items": ref("Verdict"),
                "minItems": 1,
                "maxItems": MAX_VERDICTS,
                "description": "A later `right` or `wrong` on a result replaces the earlier one.",
            },
        },
        optional=("querySha256",),
    ),
    "Verdict": _object(
        "What somebody thought of a result.",
        {
            "sha256": _text("The result's.", pattern=SHA256),
            "rank": {"type": "integer", "minimum": 1, "maximum": MAX_RANK, "description": "The result's."},
            "verdict": _text("`clicked`: somebody had a look at it.", enum=["right", "wrong", "clicked"]),
        },
    ),
    "FeedbackRecorded": _object("What was recorded.", {"changed": _count("How many of the verdicts were new.")}),
    "SearchQuality": _object(
        "How good searches were, over those made in the window.",
        {
            "startTime": _text("When the window begins: a midnight in UTC.", format="date-time"),
            "searches": _count("How many were answered."),
            "judgedSearches": _count("How many got any feedback."),
            "clickedSearches": _count("How many had a result that was clicked."),
            "clickThroughRate": _maybe(_number("Of the searches answered, the share with a click; null if none was.")),
            "meanReciprocalRank": _maybe(
                _number(
                    "Over searches with feedback, of 1 / the rank of the first result that was right, or clicked "
                    "and not wrong; null without feedback."
                )
            ),
            "right": _count("Results said to be right."),
            "wrong": _count("Results said to be wrong."),
            "precision": _maybe(_number("Of both together, the share that was right; null if there are none.")),
        },
    ),
    "DuplicateImage": _object(
        "An image of a cluster.",
        {
            "similarity": {**_SIMILARITY, "description": "Cosine to the cluster's first image."},
            **_SHOWN,
            "createTime": _text("When it was first indexed.", format="date-time"),
        },
    ),
    "Cluster": _object(
        "Images that are duplicates of one another, or one image that is used in several places.",
        {
            "imageCount": _count("How many images it has."),
            "images": _list("DuplicateImage", "The earliest-indexed first: at most 1,000."),
        },
    ),
    "Progress": _object(
        "How far a search for duplicates has come.",
        {
            "imagesExamined": _count("Since the beginning."),
            "images": _count("How many there are."),
            "resumeToken": _text("`resume_token` of the request that goes on here."),
        },
    ),
    "DuplicatePage": _object(
        "Some clusters.",
        {
            "clusters": _list("Cluster"),
            "complete": _flag("Whether this was the end; else go on with the resume token."),
            "progress": {"anyOf": [ref("Progress"), {"type": "null"}]},
        },
    ),
    "Health": _object(
        "How we are.",
        {"status": _text("`ok`, or `unavailable`."), "embedder": _flag("Answers."), "searcher": _flag("Answers.")},
        optional=("embedder", "searcher"),
    ),
    "Problem": _object(
        "What went wrong (RFC 9457).",
        {
            "type": _text("`about:blank`: `reason` tells problems apart."),
            "title": _text("The status in words."),
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": _text("A sentence that names field, limit and value."),
            "reason": _text("A stable name, for example PROJECT_NOT_FOUND; empty where a server gave none."),
            "violations": {
                "type": "array",
                "description": "What is wrong with the request, by parameter or field.",
                "items": _object("One rule that is broken.", {"field": _text("Where."), "detail": _text("What.")}),
            },
            "metadata": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "The sentence's values, by name.",
            },
            "requestId": _text("By which the servers' logs can be searched."),
        },
    ),
}
