"""JSON has one spelling: what callers know of the HTTP API stays, and the command line prints the same names."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from lookalike import records
from lookalike.cli.json_output import document
from lookalike_gateway.models.curation import Dismissal, DismissalPage, Merged
from lookalike_gateway.models.duplicates import Cluster, DuplicateImage, Pairs, Progress
from lookalike_gateway.models.feedback import Feedback, SearchQuality
from lookalike_gateway.models.image import Image, ImagePage, Reference
from lookalike_gateway.models.problem import Problem
from lookalike_gateway.models.project import Index, Limits, Project, ProjectChange, Space
from lookalike_gateway.models.proof import Proof
from lookalike_gateway.models.search import Result, SearchResult, Timing

TIME = datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)
REFERENCE = records.Reference("https://shop/1", "bag", "small", True, {"main_colour": "red"})
IMAGE = records.Image("0" * 64, 3, 4, TIME, (REFERENCE, REFERENCE), 2)
HIT = records.Hit(0.75, records.Match.SIMILAR, "0" * 64, 3, 4, (REFERENCE,), 1, "", 0.5)
CORNERS = (records.Point(0.25, 1.5),) * 4
PROOF = records.Proof(
    0.9, 0.8, 0.8, 0.7, True, 12.5, 1.25, CORNERS, CORNERS, 3.5, records.Region(0, 0.25, 0.5, 1), 30, True, False
)

_SHOWN = "sha256 width height imageUrl thumbnailUrl productVariants references referenceCount featureless"


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (Reference, "uri product variantId staged labels"),
        (Image, f"{_SHOWN} createTime fileSize"),
        (ImagePage, "images nextPageToken"),
        (Result, f"{_SHOWN} rank similarity score match matchBasis proof product"),
        (
            Proof,
            "confidence overlap ofQuery ofImage mirrored turned stretched cornersInQuery cornersInImage recoloured"
            " covered inliers bordered cropped",
        ),
        (
            SearchResult,
            "count offset total results nextPageToken mode reason queryFeatureless imagesRanked space searchId timing",
        ),
        (Timing, "embedMs searchMs"),
        (
            DuplicateImage,
            f"{_SHOWN} createTime fileSize similarity nearestSha256 match matchBasis proof productCount",
        ),
        (Cluster, "imageCount keep images"),
        (Progress, "imagesExamined images resumeToken pairs"),
        (Pairs, "near verified proven recoloured byCosine unverified dismissed"),
        (Merged, "referencesMoved imagesDeleted"),
        (DismissalPage, "dismissals nextPageToken"),
        (Dismissal, "sha256 otherSha256 createTime"),
        (
            Project,
            "name searchEnabled imagesIndexed references lastIndexedAt createTime space limits spaces tuningPolicy"
            " tuning",
        ),
        (Limits, "maxImages maxHits searchesPerSecond maxBatch"),
        (Space, "name dimensions serves vectors index learning neighbours"),
        (Index, "state progress phase recall"),
        (ProjectChange, "searchEnabled"),
        (
            SearchQuality,
            "startTime searches judgedSearches clickedSearches clickThroughRate meanReciprocalRank right wrong"
            " precision",
        ),
        (Problem, "type title status detail reason violations metadata requestId"),
    ],
)
def test_the_names_that_callers_know_stay(model: type[BaseModel], names: str) -> None:
    schema = model.model_json_schema(mode="serialization")
    assert set(schema["properties"]) == set(names.split()) == set(schema["required"])


def test_feedback_names_the_query_only_if_it_likes() -> None:
    schema = Feedback.model_json_schema()
    assert set(schema["properties"]) == {"searchId", "querySha256", "verdicts"}
    assert set(schema["required"]) == {"searchId", "verdicts"}


@pytest.mark.parametrize(
    ("record", "model"),
    [
        (IMAGE, Image),
        (HIT, Result),
        (replace(HIT, proof=PROOF), Result),
        (records.DuplicateImage(IMAGE, 0.75, "1" * 64, proof=PROOF, product_count=1), DuplicateImage),
        (records.DuplicateProgress(1, 2, "token"), Progress),
    ],
)
def test_the_command_line_prints_what_http_answers(record: object, model: type[BaseModel]) -> None:
    answered = json.loads(model.model_validate(record).model_dump_json())
    printed = json.loads(json.dumps(document(record)))
    assert printed == {name: answered[name] for name in printed}


def test_a_search_is_printed_as_it_is_answered() -> None:
    result = records.SearchResult((HIT,), records.SearchMode.EXACT, 5, "token", "space", 0.0301, 0.0042, "id")
    printed: dict[str, Any] = document(result)
    assert set(printed) <= set(SearchResult.model_json_schema(mode="serialization")["properties"])
    assert (printed["results"][0]["rank"], printed["results"][0]["product"]) == (1, None)
    assert printed["timing"] == {"embedMs": 30.1, "searchMs": 4.2}
