"""Problems: one table, RFC 9457's members, RetryInfo as Retry-After."""

import asyncio
import json
from http import HTTPStatus
from typing import Any, cast

import grpc
import pytest
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from lookalike._transport.call_context import REQUEST_ID
from lookalike.errors import InvalidRequestError, LookalikeError, OverloadedError
from lookalike_gateway import problems
from lookalike_gateway.body_room import Room
from lookalike_gateway.models.problem import Problem
from lookalike_serving.http1.refusal import refusal
from lookalike_serving.security.errors import KeysUnavailable

NOBODY = cast("Request", None)


def answered(error: LookalikeError) -> tuple[int, dict[str, Any], dict[str, str]]:
    response = asyncio.run(problems.from_library(NOBODY, error))
    return response.status_code, json.loads(bytes(response.body)), dict(response.headers)


def test_every_status_code_but_ok_has_its_place() -> None:
    assert set(problems.STATUS) == set(grpc.StatusCode) - {grpc.StatusCode.OK}


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", 400),
        (grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_TOO_LARGE", 413),
        (grpc.StatusCode.INVALID_ARGUMENT, "TOO_MANY_PIXELS", 413),
        (grpc.StatusCode.INVALID_ARGUMENT, "UNSUPPORTED_FORMAT", 415),
        (grpc.StatusCode.INVALID_ARGUMENT, "CORRUPT_IMAGE", 422),
        (grpc.StatusCode.NOT_FOUND, "PROJECT_NOT_FOUND", 404),
        (grpc.StatusCode.FAILED_PRECONDITION, "SEARCH_DISABLED", 409),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", 429),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "PROJECT_BUSY", 429),
        (grpc.StatusCode.UNAVAILABLE, "", 503),
        (grpc.StatusCode.CANCELLED, "", 503),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", 504),
        (grpc.StatusCode.INTERNAL, "INTERNAL", 502),
        (grpc.StatusCode.UNKNOWN, "", 502),
    ],
)
def test_each_error_becomes_a_problem_with_its_status(code: grpc.StatusCode, reason: str, status: int) -> None:
    token = REQUEST_ID.set("id-1")
    found, body, headers = answered(LookalikeError("why", reason=reason, code=code, metadata={"limit": "3"}))
    REQUEST_ID.reset(token)
    assert (found, body["status"], body["reason"], body["detail"]) == (status, status, reason, "why")
    assert (body["type"], body["title"]) == ("about:blank", HTTPStatus(status).phrase)
    assert (body["metadata"], body["requestId"]) == ({"limit": "3"}, "id-1")
    assert headers["content-type"] == "application/problem+json"
    assert set(body) == set(Problem.model_json_schema(mode="serialization")["properties"])


@pytest.mark.parametrize(("seconds", "header"), [(0.2, "1"), (3.0, "3"), (3.1, "4"), (None, None)])
def test_when_to_come_back_is_said_in_whole_seconds(seconds: float | None, header: str | None) -> None:
    error = OverloadedError("much", code=grpc.StatusCode.RESOURCE_EXHAUSTED)
    error.retry_after = seconds
    assert answered(error)[2].get("retry-after") == header


def test_who_cannot_be_reached_may_be_soon() -> None:
    assert answered(LookalikeError("away", code=grpc.StatusCode.UNAVAILABLE))[2]["retry-after"] == "1"


def test_who_cannot_be_let_in_for_want_of_keys_may_be_soon() -> None:
    request = Request({"type": "http", "method": "GET", "path": "/v1/model", "headers": []})
    response = asyncio.run(problems.from_domain(request, KeysUnavailable()))
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


def test_a_broken_rule_is_told_with_the_value_if_there_is_one() -> None:
    missing = {"type": "missing", "loc": ("body", "hits", 0, "rank"), "msg": "Field required", "input": {"it": 1}}
    wrong = {"type": "integer", "loc": ("query", "limit"), "msg": "must be an integer", "input": "it"}
    response = asyncio.run(problems.from_validation(NOBODY, RequestValidationError([missing, wrong])))
    violations = json.loads(bytes(response.body))["violations"]
    assert [violation["detail"] for violation in violations] == [
        "hits[0].rank: is required",
        "limit: must be an integer, got 'it'",
    ]
    assert problems.invalid("uri", "must be given once", 2).detail == "uri: must be given once, got 2"


def test_violations_name_their_fields() -> None:
    error = InvalidRequestError("bad", code=grpc.StatusCode.INVALID_ARGUMENT)
    error.violations = {"filter.uri_prefix": "must be short"}
    assert answered(error)[1]["violations"] == [{"field": "filter.uri_prefix", "detail": "must be short"}]


def test_a_body_alone_is_refused_where_it_is_more_than_there_is_room_for() -> None:
    with Room(10).share() as share:
        share.take(10)
        with pytest.raises(problems.Refused) as caught:
            share.take(1)
    assert (caught.value.reason, (caught.value.headers or {})["Retry-After"]) == ("TOO_MANY_UPLOADS", "1")


def test_who_is_refused_as_there_are_too_many_connections_is_told_when_to_come_back() -> None:
    for status, told in ((HTTPStatus.SERVICE_UNAVAILABLE, True), (HTTPStatus.BAD_REQUEST, False)):
        assert (b"\r\nRetry-After: 1\r\n" in refusal(status, "WHY", "why")) is told
