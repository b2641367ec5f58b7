"""Answers that are given before there is a request that an application could answer."""

import json
from http import HTTPStatus


def refusal(status: HTTPStatus, reason: str, detail: str) -> bytes:
    """The answer, whole: problem details like all others, after which the connection ends."""
    told = {"type": "about:blank", "title": status.phrase, "status": status, "reason": reason, "detail": detail}
    body = json.dumps(told).encode()
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        *(("Retry-After: 1",) if status is HTTPStatus.SERVICE_UNAVAILABLE else ()),
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + body
