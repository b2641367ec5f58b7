"""The operators' pages name every flag, variable and metric of their program, and none that is not there."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from prometheus_client import CollectorRegistry
from typer.main import get_command

from lookalike.cli.app import app as client
from lookalike.evaluation.figures import GROUPS
from lookalike_embedder.__main__ import app as embedder
from lookalike_embedder.metrics import Metrics as EmbedderMetrics
from lookalike_gateway.__main__ import app as gateway
from lookalike_gateway.metrics import Metrics as GatewayMetrics
from lookalike_searcher.__main__ import app as searcher
from lookalike_searcher.metrics import Metrics as SearcherMetrics

DOCS = Path(__file__).resolve().parents[2] / "docs"


@dataclass(frozen=True)
class Program:
    """A program, what it exports, and its page `docs/NAME.md`."""

    name: str
    app: typer.Typer
    registry: CollectorRegistry

    def rows(self, pattern: str) -> list[tuple[str, ...]]:
        """What the groups of the pattern match in the tables' rows, which it begins."""
        return re.findall(rf"^\| {pattern}", (DOCS / f"{self.name}.md").read_text(), re.MULTILINE)


PROGRAMS = (
    Program("embedder", embedder, EmbedderMetrics().registry),
    Program("searcher", searcher, SearcherMetrics().registry),
    Program("http", gateway, GatewayMetrics().registry),
)


@pytest.fixture(params=PROGRAMS, ids=lambda program: str(program.name))
def program(request: pytest.FixtureRequest) -> Program:
    found: Program = request.param
    return found


def test_every_flag_is_there_with_its_variable(program: Program) -> None:
    parameters = get_command(program.app).params
    documented = set(program.rows(r"`(--[a-z0-9-]+)` \| `([A-Z0-9_]+)` \|"))
    assert documented == {(parameter.opts[0], str(parameter.envvar)) for parameter in parameters}


def test_every_metric_is_there_with_its_labels(program: Program) -> None:
    documented: dict[str, str] = dict(program.rows(rf"`(lookalike_{program.name}_[a-z_]+)` \| ([a-z, ]*?) *\|"))
    labels = {
        name: ", ".join(getattr(collector, "_labelnames", ()))
        for collector, names in program.registry._collector_to_names.items()
        for name in names
    }
    families = [family for family in program.registry.collect() if family.name.startswith("lookalike")]
    exported = [family.name + ("_total" if family.type == "counter" else "") for family in families]
    assert documented == {name: labels[name] for name in exported}


def test_the_page_on_evaluation_has_every_option_and_figure() -> None:
    page = (DOCS / "evaluation.md").read_text()
    command = get_command(client).commands["evaluate"]
    options = {parameter.opts[0] for parameter in command.params if parameter.opts[0].startswith("--")}
    mentioned = set(re.findall(r"--[a-z]+", page))
    assert mentioned == options - {"--timeout"}
    names = {
        re.sub(r"^(hit|recall|ndcg)_at_\d+$", r"\1_at_k", figure.name) for own in GROUPS.values() for figure in own
    }
    assert not {name for name in names if f"`{name}`" not in page}
