import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).parents[2]
_PACKAGES: Final = ("searcher", "embedder", "serving", "tools", "client", "gateway")
_GENERATED: Final = "client/lookalike/v1/"
_LEAST_WORDS: Final = 5
# This is no grammar. These lists know the words of our docstrings; add to them.
_AUXILIARIES: Final = """
is are was were has have had does do did can cannot could may might must will would should
"""
_VERBS: Final = """
accept adapt add admit allow answer append apply ask assemble assign await back become begin belong bind block blur
bound bring build calculate call cancel capture carry change check choose clear close cluster collect come compare
compute connect contain convert convolve copy cost count create cut decide decode decompress define delete demonstrate
derive describe disable do download draw drop embed enable encode end enter escape estimate evaluate evict exclude
execute expire export extract fail fetch fill filter find finish fit fix flush follow format free freeze generate get
give go grow guard hand handle hold identify ignore implement import improve include index initialize insert intercept
interrupt join judge keep kill know launch lay learn leave lend let limit list listen load lock log look lose make map
mark match mean measure merge migrate move name need note observe open order own pack pad parse pass pause pick prefer
prepare prevent print probe project prove provide provoke publish pull put quantise queue raise rank reach read
receive recognize record reduce refuse register release reload remember remove rename render repair replace report
require reset resize resolve respond restore resume return revoke rotate round route run save say scale scan search see
select send serve set share show shut sign skip smooth sort split start state stay stop store stream subtract summarize
switch synchronize take tell test track transform translate treat try tune turn unpack update use validate verify wait
wake walk warm watch wrap write yield
"""
_NOUNS_TOO: Final = """
back block blur bound call change check cluster copy count export filter format import index limit list load lock log
map match measure order pad probe project rank record report reset scale scan search share sign state stream test
track update watch
"""
"""Verbs whose third person is mostly the plural of a noun, so that it does not count as a verb after a subject."""
_SUBORDINATE: Final = """
that which who whom whose where when while if whether as because until before after since than what how why
"""
"""Words that begin a clause. A verb that comes after one of these is not the verb of the sentence."""

Docstring = tuple[str, str]


def _docstrings(tree: ast.Module) -> Iterator[Docstring]:
    """Yield the name and the docstring of the module and of its public classes, functions and methods."""
    if text := ast.get_docstring(tree):
        yield "module", text
    yield from _of_body(tree.body)


def _of_body(body: list[ast.stmt]) -> Iterator[Docstring]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            if text := ast.get_docstring(node):
                yield node.name, text
            if isinstance(node, ast.ClassDef):
                yield from _of_body(node.body)


def _field_docstrings(tree: ast.Module) -> Iterator[Docstring]:
    """Yield the name and the docstring of each public attribute: a string that follows an assignment."""
    for node in (tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))):
        for before, after in zip(node.body, node.body[1:], strict=False):
            match before, after:
                case (
                    ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str() as text)),
                ) if not name.startswith("_"):
                    yield name, text


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=\.)\s", paragraph)[0]


def _words(sentence: str) -> list[str]:
    return re.findall(r"`[^`]*`|[\w'/-]+", sentence)


def _fault(text: str) -> str | None:
    """Return what is wrong with the first sentence of a docstring: its end, its beginning, its length or its verb."""
    sentence = _first_sentence(text)
    if not sentence.endswith((".", ":")):
        return "no full stop"
    if not re.match(r"[A-Z`]", sentence):
        return "no capital letter"
    if len(_words(sentence)) < _LEAST_WORDS:
        return "too short"
    return None if _has_verb(_words(sentence.split(": ")[0])) else "no verb"


def _has_verb(words: list[str]) -> bool:
    """Return whether the first word is a verb, or one comes before the first word that begins a subordinate clause."""
    verbs = _unambiguous_verbs()
    if words[0].lower() in _VERBS.split() or _is_third_person(words[0].lower()):
        return True
    for before, word in pairwise(["", words[0].lower(), *words[1:]]):
        if word in _SUBORDINATE.split():
            return False
        if word in _AUXILIARIES.split() or _is_third_person(word) or (before.endswith("s") and word in verbs):
            return True
    return False


def _unambiguous_verbs() -> set[str]:
    return set(_VERBS.split()) - set(_NOUNS_TOO.split())


def _is_third_person(word: str) -> bool:
    return any(
        word.endswith(end) and word.removesuffix(end) + instead in _unambiguous_verbs()
        for end, instead in (("ies", "y"), ("es", ""), ("s", ""))
    )


def _faults(package: str) -> list[str]:
    faults = []
    for path in sorted((_ROOT / package).rglob("*.py")):
        name = path.relative_to(_ROOT).as_posix()
        if name.startswith(_GENERATED):
            continue
        tree = ast.parse(path.read_text())
        faults += [f"{name} {what}: {fault}: {text}" for what, text in _docstrings(tree) if (fault := _fault(text))]
        faults += [f"{name} {what}: {text}" for what, text in _field_docstrings(tree) if not _is_long_enough(text)]
    return faults


def _is_long_enough(text: str) -> bool:
    sentence = _first_sentence(text)
    return sentence.endswith((".", ":")) and len(sentence.split()) >= _LEAST_WORDS


@pytest.mark.parametrize("package", _PACKAGES)
def test_public_docstrings_are_sentences(package: str) -> None:
    assert _faults(package) == []


@pytest.mark.parametrize(
    "text",
    [
        "It came.",
        "Both.",
        "One.",
        "The servers, as they were.",
        "The images of a project that was deleted.",
        "The call ended before its request.",
        "A place where all the images are.",
        "return the nearest images of all.",
        "Return the nearest images of all",
    ],
)
def test_what_is_no_sentence_is_refused(text: str) -> None:
    assert _fault(text)


@pytest.mark.parametrize(
    "text",
    [
        "Return the nearest images of all.",
        "A project is a schema of PostgreSQL.",
        "The lanes hold jobs of clients.",
        "`grpc.health.v1` is served for one service.",
        "The linters are run by this:\n\n* ruff\n* mypy",
    ],
)
def test_a_sentence_passes(text: str) -> None:
    assert _fault(text) is None
