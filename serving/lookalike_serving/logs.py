"""Write the logs of a server: lines for people, or JSON for programs, each with the id of its request.

Text from outside is escaped here, in one place, for our own messages and fields and for those of libraries.

This needs `python-json-logger`.
"""

import logging
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Final

from pythonjsonlogger.json import JsonFormatter

from lookalike._transport.call_context import REQUEST_ID
from lookalike.escape import escape, escape_lines
from lookalike_serving.security import audit


def configure(level: str, style: str, audit_log: Path | None = None) -> None:
    """Log to standard error from now on.

    Args:
        level: the lowest level that is logged.
        style: `text` or `json`.
        audit_log: a file that gets the audit log instead, as JSON; the file may be moved away at any time.
    """
    logging.basicConfig(level=level, handlers=[_ready(logging.StreamHandler(), style)])
    audit.logger.setLevel(logging.INFO)  # whatever the level of the other loggers
    if audit_log:
        audit.logger.addHandler(_ready(WatchedFileHandler(audit_log), "json"))
        audit.logger.propagate = False


def _ready(handler: logging.Handler, style: str) -> logging.Handler:
    handler.setFormatter(formatter(style))
    handler.addFilter(identify)
    return handler


def formatter(style: str) -> logging.Formatter:
    """Return a formatter that writes each record as `text` or `json`, with all its content escaped."""
    if style == "text":
        return _Lines("%(asctime)s %(levelname)s %(name)s [%(request_id)s]: %(message)s", defaults={"request_id": "-"})
    names = {"levelname": "level", "name": "logger", "exc_info": "exception", "stack_info": "stack"}
    return _Json("%(levelname)s %(name)s %(message)s", rename_fields=names, timestamp="time")


_BLOCKS: Final = ("exception", "stack", "plan")
"""These fields have several lines. In a text log they stand below the record's line, indented."""
_INDENT: Final = "    "


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another handler may have stored it unescaped
        line = super().format(record)
        plan = getattr(record, "plan", "")
        return f"{line}\n{escape_lines(plan, _INDENT)}" if plan else line

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's
        return escape(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802, ANN401
        return escape_lines(super().formatException(ei), _INDENT)

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return escape_lines(super().formatStack(stack_info), _INDENT)


class _Json(JsonFormatter):
    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        return {
            name: escape_lines(value) if name in _BLOCKS and isinstance(value, str) else _escaped(value)
            for name, value in super().process_log_record(log_data).items()
        }


def _escaped(value: Any) -> Any:  # noqa: ANN401 - whatever JSON takes
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, dict):
        return {_escaped(name): _escaped(element) for name, element in value.items()}
    return [_escaped(element) for element in value] if isinstance(value, list | tuple) else value


def identify(record: logging.LogRecord) -> bool:
    """Set the record's `request_id` to that of the current request, unless it has one.

    Returns True: all records pass.
    """
    if not hasattr(record, "request_id") and (request_id := REQUEST_ID.get()):
        record.request_id = request_id
    return True
