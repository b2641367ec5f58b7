"""What others say is shown as it is, and does nothing."""

import io
import json
import logging
import sys
import unicodedata

import pytest
from rich.table import Table
from rich.text import Text

from lookalike.cli import app
from lookalike.cli.console import PlainConsole
from lookalike.cli.report import as_line
from lookalike.escape import escape, escape_json, escape_lines

HONEST = "Täschchen 7/8 “größer” 手提包 👜 کیف‌دستی [red]\\x"  # with a joiner, as Persian is written
HOSTILE = "bag\x1b[2J\x1b]8;;https://evil.example\x07\r\n\x9b31m\u202e\u2028\u2066\x7f\x00\ud800 [link=https://x]:bag:"
SPARED = {"\u00ad", "\u200c", "\u200d"}  # which writing needs: a soft hyphen, joiners


@pytest.mark.parametrize("change", [escape, escape_lines, escape_json])
def test_honest_text_stays_as_it_is(change: type) -> None:
    assert change(HONEST) == HONEST


def test_each_character_that_controls_anything_is_escaped() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs") or unicodedata.bidirectional(character) in (
            *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"),
        ):
            assert escape(character).isascii(), hex(code)
            assert escape(character).startswith("\\"), hex(code)
    assert escape("a\nb\x1b\u202e") == r"a\nb\x1b\u202e"


def test_lines_stay_lines_and_json_says_the_same() -> None:
    assert escape_lines("a\n\x1bb", "> ") == "> a\n> \\x1bb"
    said = json.dumps({HOSTILE: HOSTILE}, ensure_ascii=False)
    assert json.loads(escape_json(said)) == {HOSTILE: HOSTILE}
    line = as_line({"uri": HOSTILE, "name": HONEST})
    assert escape(line) == line
    assert HONEST.replace("\\", "\\\\") in line
    assert json.loads(line) == {"uri": HOSTILE, "name": HONEST}


@pytest.mark.parametrize("width", [30, 400])
@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_printed_is_text_alone(width: int, terminal: bool) -> None:
    """As a line, beside another, in a table's cell, heading and title, styled or not."""
    file = io.StringIO()
    console = PlainConsole(file=file, width=width, force_terminal=terminal, color_system=None)
    table = Table(HOSTILE, title=HOSTILE, box=None)
    table.add_column(Text(HOSTILE, "bold"))
    table.add_row(HOSTILE, Text.assemble("a", (HOSTILE, "red"), overflow="fold"))
    for shown in (HOSTILE, Text(HOSTILE, "bold red"), table):
        console.print(shown, soft_wrap=True)
    console.print(HOSTILE, HOSTILE, style="red", soft_wrap=True)
    lines = file.getvalue().split("\n")
    assert all(escape(line) == line for line in lines)
    assert "[link=https://x]:bag:" in lines[0]
    assert r"\x1b[2J" in lines[0]
    assert r"\n" in lines[0]


def test_styles_survive() -> None:
    file = io.StringIO()
    console = PlainConsole(file=file, width=100, force_terminal=True, color_system="standard")
    console.print(Text.assemble(("a\nb", "red"), "c"))
    assert file.getvalue() == "\x1b[31ma\x1b[0m\\n\x1b[31mb\x1b[0mc\n"


def test_a_bug_is_told_with_its_message_escaped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: object) -> None:
        raise ValueError(HOSTILE)

    monkeypatch.setattr(app, "app", broken)
    with pytest.raises(SystemExit):
        app.main()
    told = capsys.readouterr().err
    assert "ValueError: bag\\x1b[2J" in told
    assert escape_lines(told) == told


def test_what_libraries_warn_of_is_escaped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(app, "app", lambda **_: logging.getLogger("library").warning("odd file %s", HOSTILE))
    monkeypatch.setattr(logging.getLogger("library"), "handlers", [logging.lastResort])
    monkeypatch.setattr(logging.getLogger("library"), "propagate", False)
    app.main()
    told = capsys.readouterr().err
    assert "odd file bag\\x1b[2J" in told
    assert escape_lines(told) == told
