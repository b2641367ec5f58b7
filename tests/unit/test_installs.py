"""What a program imports when it starts comes with the extras that it asks for, and with nothing else.

The tests have all extras installed, so that a missing one would be noticed by those alone who install less.
"""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import packages_distributions, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

STARTED = """
import importlib, importlib.machinery, sys

found = importlib.machinery.PathFinder

class Present:
    def find_spec(name, path=None, target=None):
        return None if name in sys.argv[2:] else found.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(found)] = Present
importlib.import_module(sys.argv[1])
"""
"""Imports a module as if others were not installed."""


def brought(extras: Iterable[str], name: str = "lookalike") -> set[tuple[str, str]]:
    """The distributions that one brings, with one of its extras or with none (the empty text), and that these bring."""
    found: set[tuple[str, str]] = set()
    waiting = [(name, extra) for extra in ("", *extras)]
    while waiting:
        one, extra = waiting.pop()
        if (one, extra) in found:
            continue
        found.add((one, extra))
        for text in installed(one):
            requirement = Requirement(text)
            if not requirement.marker or requirement.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(requirement.name), more) for more in ("", *requirement.extras)]
    return found


@cache
def owners_of_modules() -> Mapping[str, list[str]]:
    """Which distributions bring each top-level module."""
    return packages_distributions()


def installed(name: str) -> list[str]:
    """What a distribution requires; nothing, if it is not installed, as it is for another system."""
    try:
        return requires(name) or []
    except ModuleNotFoundError:
        return []


@pytest.mark.parametrize(
    ("module", "extras"),
    [
        ("lookalike.cli", []),
        ("lookalike.fetch.web", ["index"]),
        ("lookalike.sources.web", ["index"]),
        ("lookalike.evaluation", ["evaluate"]),
        ("lookalike_embedder.__main__", ["embedder"]),
        ("lookalike_embedder.onnx_model.text", ["embedder", "onnx"]),
        ("lookalike_gateway.__main__", ["http"]),
        ("lookalike_searcher.__main__", ["searcher-slim"]),
        ("lookalike_searcher.database.postgres", ["searcher"]),
    ],
)
def test_a_program_starts_with_nothing_but_its_extras(module: str, extras: list[str]) -> None:
    present = {name for name, _ in brought(extras)}
    absent = [
        top
        for top, owners in owners_of_modules().items()
        if top not in sys.stdlib_module_names and not {canonicalize_name(owner) for owner in owners} & present
    ]
    assert "pytest" in absent
    done = subprocess.run([sys.executable, "-c", STARTED, module, *absent], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
