"""How our servers log: lines for people, or JSON for programs, each with the id of the request that it is about.

Needs `python-json-logger`.
"""

import logging
from logging.handlers import WatchedFileHandler
from pathlib import Path

from pythonjsonlogger.json import JsonFormatter

from lookalike.request import REQUEST_ID
from lookalike.security import audit


def configure(level: str, style: str, audit_log: Path | None = None) -> None:
    """Log to standard error from now on.

    Args:
        level: the least that is logged.
        style: `text` or `json`.
        audit_log: where the audit log goes instead, in JSON; the file may be moved away at any time.
    """
    logging.basicConfig(level=level, handlers=[_ready(logging.StreamHandler(), style)])
    audit.logger.setLevel(logging.INFO)  # at any level of the others
    if audit_log:
        audit.logger.addHandler(_ready(WatchedFileHandler(audit_log), "json"))
        audit.logger.propagate = False


def _ready(handler: logging.Handler, style: str) -> logging.Handler:
    handler.setFormatter(formatter(style))
    handler.addFilter(identify)
    return handler


def formatter(style: str) -> logging.Formatter:
    """Writes records as `text` or `json`."""
    if style == "text":
        return logging.Formatter(
            "%(asctime)s %(levelname)s %(name)s [%(request_id)s]: %(message)s", defaults={"request_id": "-"}
        )
    names = {"levelname": "level", "name": "logger", "exc_info": "exception", "stack_info": "stack"}
    return JsonFormatter("%(levelname)s %(name)s %(message)s", rename_fields=names, timestamp="time")


def identify(record: logging.LogRecord) -> bool:
    """Note on a record which request it is about, unless it says so itself or is about none."""
    if not hasattr(record, "request_id") and (found := REQUEST_ID.get()):
        record.request_id = found
    return True
