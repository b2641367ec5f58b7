"""Build answers to requests that are refused before an application sees them."""

import json
from http import HTTPStatus


def refusal(status: HTTPStatus, reason: str, detail: str) -> bytes:
    """Return the bytes of a whole answer, with problem details. The connection ends after it."""
    problem = {"type": "about:blank", "title": status.phrase, "status": status, "reason": reason, "detail": detail}
    body = json.dumps(problem).encode()
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        *(("Retry-After: 1",) if status is HTTPStatus.SERVICE_UNAVAILABLE else ()),
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + body
