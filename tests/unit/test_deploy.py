"""The files in deploy/ are well-formed, fit together, and name only what the programs and the repository have.

They cannot be built or started here: that takes a network and a container engine.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
import yaml
from typer.main import get_command

from lookalike_embedder.__main__ import app as embedder
from lookalike_searcher.__main__ import app as searcher
from tests.deployment import CREDENTIALS, PROGRAMS

ROOT = Path(__file__).resolve().parents[2]
CITUS = ROOT / "deploy" / "citus"
TEXTS = [*CITUS.iterdir(), ROOT / "docs" / "citus.md", ROOT / "docs" / "capacity.md", ROOT / "deploy" / "README.md"]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "deploy" / "README.md"]


def flags(*programs: typer.Typer) -> set[str]:
    return {option for program in programs for parameter in get_command(program).params for option in parameter.opts}


def variables(*programs: typer.Typer) -> set[str]:
    return {str(parameter.envvar) for program in programs for parameter in get_command(program).params}


@pytest.fixture
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CITUS / "compose.yaml").read_text())
    return found


@pytest.fixture
def searcher_environment() -> dict[str, str]:
    lines = (CITUS / "searcher.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def settings(service: dict[str, Any]) -> dict[str, str]:
    """What PostgreSQL is started with."""
    program, *arguments = service["command"]
    assert program == "postgres"
    assert set(arguments[::2]) == {"-c"}
    return dict(argument.split("=", 1) for argument in arguments[1::2])


def mebibytes(size: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([a-z]+)", size.lower()).groups()  # type: ignore[union-attr]
    return int(number) * {"mb": 1, "gb": 1024}[unit]


def test_the_coordinator_is_told_of_every_worker_and_of_nothing_else(compose: dict[str, Any]) -> None:
    sql = (CITUS / "register.sql").read_text()
    workers = {name for name in compose["services"] if name.startswith("worker")}
    assert set(re.findall(r"citus_add_node\('([^']+)', 5432\)", sql)) == workers
    assert set(re.findall(r"citus_set_coordinator_host\('([^']+)', 5432\)", sql)) == {"coordinator"}
    assert set(compose["services"]) == workers | {"coordinator", "register"}
    assert set(compose["services"]["register"]["depends_on"]) == workers | {"coordinator"}


def test_every_node_keeps_its_data_in_a_volume_of_its_own(compose: dict[str, Any]) -> None:
    mounted = [
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service["volumes"]
        if not volume.startswith(".")
    ]
    assert sorted(mounted) == sorted(compose["volumes"])


@pytest.mark.parametrize("name", ["coordinator", "worker-1", "worker-2"])
def test_a_node_has_what_the_searcher_cannot_set_there(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    found = settings(service)
    assert found["shared_preload_libraries"] == "citus"
    assert found["wal_level"] == "logical"
    assert found["jit"] == "off"
    assert mebibytes(service["shm_size"]) > mebibytes(found["maintenance_work_mem"])


def test_what_is_mounted_and_built_is_there(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for volume in service["volumes"]:
            if volume.startswith("."):
                assert (CITUS / volume.split(":")[0]).is_file()
        if "build" in service:
            assert (CITUS / service["build"] / "Dockerfile").is_file()


def test_the_image_is_pinned() -> None:
    [base] = re.findall(r"^FROM (\S+)$", (CITUS / "Dockerfile").read_text(), re.MULTILINE)
    assert re.fullmatch(r"citusdata/citus:\d+\.\d+\.\d+", base)


def test_the_searcher_is_sent_to_the_coordinators_database(
    compose: dict[str, Any], searcher_environment: dict[str, str]
) -> None:
    url = urlsplit(searcher_environment["DATABASE_URL"])
    node = compose["services"]["coordinator"]["environment"]
    assert url.hostname == "coordinator"
    assert (url.username, url.path) == ("lookalike", "/" + node["POSTGRES_DB"])
    assert node["POSTGRES_USER"] == node["PGUSER"] == "postgres"


def test_the_searchers_variables_are_the_programs(searcher_environment: dict[str, str]) -> None:
    assert set(searcher_environment) <= variables(searcher)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.name))
def test_flags_and_variables_are_the_programs(path: Path) -> None:
    text = path.read_text()
    known = variables(searcher, embedder) | PROGRAMS["http"].variables | CREDENTIALS
    assert set(re.findall(r"\bLOOKALIKE_[A-Z_]+\b", text)) <= known
    assert set(re.findall(r"`(--[a-z-]+)`", text)) <= flags(searcher, embedder) | {"--exact", "--help"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.name))
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        if not link.startswith("https://"):
            name, _, heading = link.partition("#")
            found = path.parent / name if name else path
            assert found.exists(), link
            assert not heading or heading in _anchors(found), link


def _anchors(page: Path) -> set[str]:
    """What headings are called in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
