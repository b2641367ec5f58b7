"""The locks hold what pyproject asks for, each with its hashes, and name no place to have it from."""

import re
import shutil
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.deployment import ROOT, stages
from tools import locks
from tools.locks import LOCKS, TORCH

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@cache
def locked(name: str) -> dict[str, set[Version]]:
    """The packages of a lock, and their versions: several, where they depend on the Python."""
    found: dict[str, set[Version]] = {}
    for package, version in re.findall(r"^([\w.-]+)(?:\[[^]]+\])?==(\S+)", text(name), re.MULTILINE):
        found.setdefault(canonicalize_name(package), set()).add(Version(version))
    return found


def text(name: str) -> str:
    return (ROOT / "locks" / f"{name}.txt").read_text()


def wanted(extras: tuple[str, ...]) -> Iterator[Requirement]:
    """What the project asks for with these extras, and those that they bring."""
    asked = PROJECT["dependencies"] + [one for extra in extras for one in PROJECT["optional-dependencies"][extra]]
    for requirement in map(Requirement, asked):
        if requirement.name == "lookalike":
            yield from wanted(tuple(requirement.extras))
        else:
            yield requirement


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_satisfies_the_bounds(name: str) -> None:
    found = locked(name)
    for requirement in wanted(LOCKS[name]):
        package = canonicalize_name(requirement.name)
        if name == "embedder" and TORCH.match(f"{package}==\n"):
            assert package not in found
            continue
        assert package in found, f"{package}: run `make lock`"
        assert all(version in requirement.specifier for version in found[package]), f"{requirement}: run `make lock`"


@pytest.mark.parametrize("name", [*LOCKS, "torch"])
def test_each_package_has_its_hashes_and_no_address(name: str) -> None:
    blocks = re.split(r"\n(?! )", text(name).strip())
    assert len(blocks) > 10
    assert all(re.match(r"[\w.-]+(\[[^]]+\])?==\S+.*\\\n    --hash=sha256:[0-9a-f]{64}", block) for block in blocks)
    assert not re.search(r"://|--(extra-)?index|--find-links", text(name))


@pytest.mark.parametrize("name", ["torch", *sorted(LOCKS.keys() - {"dev"})])
def test_an_image_has_the_versions_that_are_tested(name: str) -> None:
    tested, found = locked("dev"), locked(name)
    assert {package for package in found.keys() & tested.keys() if found[package] - tested[package]} == set()


def test_the_image_has_the_torch_that_is_tested() -> None:
    arguments = dict(argument.split("=", 1) for word, argument in stages()["dependencies-embedder"] if word == "ARG")
    tested = locked("dev")
    assert locked("torch")["torch"] == tested["torch"]
    assert {Version(arguments["TORCH"])} == tested["torch"]
    assert {Version(arguments["TORCHVISION"])} == tested["torchvision"]


def test_locking_again_keeps_torch_as_it_keeps_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locking keeps the versions that are in the file that is to be written; here nothing changes them."""
    for name in ("embedder", "torch"):
        shutil.copy(ROOT / "locks" / f"{name}.txt", tmp_path)
    monkeypatch.setattr(locks, "FOLDER", tmp_path)
    monkeypatch.setattr(locks.subprocess, "run", lambda *_, **__: None)
    locks.compile_("embedder")
    assert {file.stem: file.read_text() for file in tmp_path.iterdir()} == {
        name: text(name) for name in ("embedder", "torch")
    }
