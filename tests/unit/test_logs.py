"""Lines for people and JSON for programs."""

import contextvars
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lookalike._transport.call_context import REQUEST_ID
from lookalike_serving import logs
from lookalike_serving.logs import formatter, identify
from lookalike_serving.security import audit


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
        "message": r"3 images\nwith ä",
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


HOSTILE = "".join(map(chr, (*range(32), *range(0x7F, 0xA0), 0x200B, 0x200E, 0x202E, 0x2028, 0x2029, 0x2066, 0xD800)))
FORGED = "2026-01-01 00:00:00,000 INFO lookalike.audit [-]: method 'x', code 'OK'"


def harmless(text: str) -> bool:
    return not set(HOSTILE) & set(text)


@pytest.mark.parametrize("where", ["argument", "message", "field", "id", "exception", "stack"])
@pytest.mark.parametrize("style", ["text", "json"])
def test_nothing_that_others_say_leaves_its_place(style: str, where: str) -> None:
    """It begins no line, moves no cursor, turns no writing: in the log, and in what its JSON stands for."""
    said = f"{HOSTILE}\n{FORGED}\r\n{FORGED}\u2028{FORGED}"
    bug = ZeroDivisionError(said)
    made = {
        "argument": lambda: record("%s", said),
        "message": lambda: record(said),
        "field": lambda: record("done", path=said, nested={"a": [said]}),
        "id": lambda: record("done", request_id=said),
        "exception": lambda: record("done", exc_info=(type(bug), bug, None), exc_text=said),
        "stack": lambda: record("done", stack_info=said),
    }[where]()
    text = formatter(style).format(made)
    first, *more = text.split("\n")
    assert all(harmless(line) for line in (first, *more))
    assert not [line for line in more if not line.startswith("    ")]
    assert first.count("lookalike.thing") == 1
    if where in ("argument", "message"):
        assert more == []
        assert FORGED in first
    if style == "json":
        assert all(harmless(value.replace("\n", "")) for value in strings(json.loads(text)))


def strings(value: Any) -> list[str]:  # noqa: ANN401 - JSON
    """All of them, at any depth."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in strings(part)]


def test_a_plan_stands_below_its_line() -> None:
    made = record("slow search", plan="Sort\n  -> Scan of \x1b")
    assert formatter("text").format(made).split("\n")[1:] == ["    Sort", r"      -> Scan of \x1b"]
    assert json.loads(formatter("json").format(made))["plan"] == "Sort\n  -> Scan of \\x1b"


@pytest.mark.parametrize("style", ["text", "json"])
def test_libraries_log_as_we_do(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Uvicorn's loggers and asyncio's write through the same formatter."""
    handler = logs._ready(logging.StreamHandler(), style)
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.warning("of %s", f"a\n{FORGED}")
        logger.removeHandler(handler)
    assert len(capsys.readouterr().err.splitlines()) == 2
