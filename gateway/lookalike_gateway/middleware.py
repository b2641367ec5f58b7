"""Give every request its id, its line in the log and security headers, check its host, and answer failures."""

import logging
import time
from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from fastapi.responses import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike._transport.call_context import REQUEST_ID
from lookalike_gateway import problems
from lookalike_gateway.metrics import Metrics
from lookalike_serving import tracing
from lookalike_serving.interceptor import request_id

logger = logging.getLogger(__name__)

_CSP: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' blob: http: https:",  # results that live elsewhere are shown from there
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


_LEVELS: Final = ((500, logging.WARNING), (400, logging.INFO))
"""Of lines in the log, by the least status; what goes well is not worth one."""


class RequestMiddleware:
    """The outermost middleware is this one: it adds what every request gets.

    Args:
        app: what is surrounded.
        allowed_hosts: what the header Host may say, without its port; empty: anything.
        metrics: is told of each request.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Collection[str], metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._hosts = frozenset(allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI calls it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        identifier = request_id([("x-request-id", headers.get("x-request-id", ""))])
        REQUEST_ID.set(identifier)
        method = scope["method"]
        span = tracing.begin(
            f"HTTP {method}", headers.items(), identifier, {"http.request.method": method, "url.path": scope["path"]}
        )
        started, status = time.monotonic(), 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                added = MutableHeaders(scope=message)
                added["x-request-id"] = identifier
                for name, value in _HEADERS.items():
                    added[name] = value
            await send(message)

        # FastAPI has no routes for HEAD: the server leaves out the body of what GET answers
        routed_scope = {**scope, "method": "GET"} if method == "HEAD" else scope
        try:
            refusal = self._refusal(headers.get("host", ""))
            with self._metrics.in_progress.track_inprogress():
                await (refusal or self._app)(routed_scope, receive, note)
        except ClientDisconnect:
            logger.info("%s %s: the client has gone", scope["method"], scope["path"])
        except Exception:
            logger.exception("unexpected failure")
            if status:  # half an answer has gone out: the server cuts the connection
                raise
            await problems.unexpected()(scope, receive, note)
        finally:
            seconds = time.monotonic() - started
            self._metrics.ended({**routed_scope, "method": method}, status, seconds)
            _log(scope, status, seconds)
            if span:
                tracing.end(span, "http.response.status_code", status, fault=status >= 500)

    def _refusal(self, host: str) -> Response | None:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if not self._hosts or name.strip("[]").lower() in self._hosts:
            return None
        detail = f"Host: {name[:80]!r} is not served here; see --allowed-host"
        return problems.response(problems.problem(HTTPStatus.MISDIRECTED_REQUEST, "HOST_NOT_ALLOWED", detail))


def _log(scope: Scope, status: int, seconds: float) -> None:
    level = next((level for min_status, level in _LEVELS if status >= min_status), logging.DEBUG)
    fields = {"method": scope["method"], "path": scope["path"], "status": status, "seconds": round(seconds, 6)}
    logger.log(level, "%s %s: %s in %.3f s", scope["method"], scope["path"], status, seconds, extra=fields)
