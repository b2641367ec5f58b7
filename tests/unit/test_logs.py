"""Lines for people and JSON for programs."""

import contextvars
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lookalike import logs
from lookalike.logs import formatter, identify
from lookalike.request import REQUEST_ID
from lookalike.security import audit


def record(message: str, *arguments: object, **attributes: Any) -> logging.LogRecord:  # noqa: ANN401
    made = logging.LogRecord("lookalike.thing", logging.WARNING, "thing.py", 1, message, arguments, None)
    vars(made).update(attributes)
    return made


def about(request_id: str, made: logging.LogRecord) -> logging.LogRecord:
    """The record, logged while a request is served."""

    def serve() -> None:
        REQUEST_ID.set(request_id)
        assert identify(made)

    contextvars.copy_context().run(serve)
    return made


def test_json_is_one_object_a_line_with_these_fields() -> None:
    made = about("order 7", record("%d images\nwith ä", 3, code="OK", seconds=0.25))
    text = formatter("json").format(made)
    assert "\n" not in text
    fields = json.loads(text)
    assert datetime.fromisoformat(fields.pop("time")) == datetime.fromtimestamp(made.created, UTC)
    assert text.count("+00:00") == 1
    assert fields == {
        "level": "WARNING",
        "logger": "lookalike.thing",
        "message": "3 images\nwith ä",
        "request_id": "order 7",
        "code": "OK",
        "seconds": 0.25,
    }


def test_json_has_the_exception() -> None:
    bug = ZeroDivisionError("a bug")
    made = record("unexpected failure", exc_info=(type(bug), bug, None))
    fields = json.loads(formatter("json").format(made))
    assert fields["exception"] == "ZeroDivisionError: a bug"
    assert "request_id" not in fields


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (about("order 7", record("done")), "WARNING lookalike.thing [order 7]: done"),
        (record("done"), "WARNING lookalike.thing [-]: done"),
    ],
)
def test_text_names_the_request_if_there_is_one(made: logging.LogRecord, expected: str) -> None:
    assert formatter("text").format(made).endswith(expected)


def test_a_record_that_names_its_request_is_believed() -> None:
    assert vars(about("another", record("done", request_id="mine")))["request_id"] == "mine"


def test_the_audit_log_goes_to_its_own_file_alone_at_any_level_and_follows_it_when_it_is_moved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "audit.jsonl"
    logs.configure("ERROR", "text", path)
    try:
        for number in range(2):
            audit.Record().write("Service/Method", "OK", f"r-{number}", None)
            path.rename(tmp_path / str(number))
    finally:
        [handler] = audit.logger.handlers
        audit.logger.removeHandler(handler)
        handler.close()
        audit.logger.propagate = True
    for number in range(2):
        [line] = (tmp_path / str(number)).read_text().splitlines()
        found = json.loads(line)
        assert (found["request_id"], found["method"], found["code"]) == (f"r-{number}", "Service/Method", "OK")
    assert not caplog.records
