"""Tables are for people on a terminal, and for programs elsewhere."""

import io

import pytest
from rich.text import Text

from lookalike.cli import table as tables
from lookalike.cli.console import PlainConsole
from lookalike.cli.table import print_table, table

SPACE = "vgg16-rmac512-160fb32a03b2"
URI = f"https://shop.example/{'a' * 200}.jpg"


@pytest.mark.parametrize("width", [12, 40, 80])
def test_names_are_whole_on_any_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(tables, "console", PlainConsole(file=file, width=width, force_terminal=True, color_system=None))
    shown = table(("space", "where"), whole=("space",))
    shown.add_row(SPACE, URI)
    print_table(shown)
    assert SPACE in file.getvalue()
    assert "…" not in file.getvalue()
    assert "".join(file.getvalue().split()).replace(SPACE, "") == "spacewhere" + URI


def test_elsewhere_each_row_is_a_line_with_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    shown = table(("space", "where", "vectors"), right=("vectors",))
    shown.add_row(Text(SPACE, "bold"), URI, "1,234")
    shown.add_row("a\tb\x1b[2J", "[red]:bag:")
    print_table(shown)
    assert capsys.readouterr().out == (f"space\twhere\tvectors\n{SPACE}\t{URI}\t1,234\na\\tb\\x1b[2J\t[red]:bag:\t\n")
