"""The page's files: small, complete, and with nothing from elsewhere; and the program's flags in its document."""

import re
from pathlib import Path

import typer
from typer.main import get_command

from lookalike.constants import NEAR_DUPLICATE
from lookalike_gateway import assets
from lookalike_gateway.__main__ import http

DOCS = Path(__file__).resolve().parents[2] / "docs" / "http.md"
FILES = {name: data.decode() for name, data in assets.contents().items()}


def test_all_together_are_small() -> None:
    assert sum(map(len, assets.contents().values())) <= 70_000


def test_nothing_comes_from_elsewhere_or_is_written_inline() -> None:
    for name, text in FILES.items():
        addresses = set(
            re.findall(r"(?:https?:)?//[a-z][^\s\"'`)]*", re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
        )
        assert addresses <= {"http://www.w3.org/2000/svg"}, name  # a name, which nobody fetches
    page = FILES["index.html"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", page)


def test_the_page_begins_with_the_threshold_of_near_duplicates() -> None:
    assert f'step="0.005" value="{NEAR_DUPLICATE}"' in FILES["index.html"]


def test_whatever_is_named_is_there() -> None:
    for name, text in FILES.items():
        for target in re.findall(r"(?:assets/|from \"\./)([\w.]+)", text):
            assert target in FILES, f"{name} names {target}"
    identifiers = set(re.findall(r"\bid=\"([\w-]+)\"", FILES["index.html"]))
    for name, text in FILES.items():
        if name.endswith(".js"):
            assert set(re.findall(r"\$\(\"([\w-]+)\"\)", text)) <= identifiers, name


def test_every_flag_is_documented_with_its_variable() -> None:
    app = typer.Typer()
    app.command()(http)
    rows = re.findall(r"^\| `(--[a-z-]+)` \| (?:`([A-Z_]+)`)? ?\|", DOCS.read_text(), re.MULTILINE)
    parameters = [parameter for parameter in get_command(app).params if "--install-completion" not in parameter.opts]
    flags = {(one.opts[0], str(one.envvar or "")) for one in parameters if "completion" not in one.opts[0]}
    assert set(rows) == flags
