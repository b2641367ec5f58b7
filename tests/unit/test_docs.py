"""The operator's page names every flag, variable and metric of the embedder, and none that is not there."""

import re
from pathlib import Path

from typer.main import get_command

from lookalike_embedder.__main__ import app
from lookalike_embedder.metrics import Metrics

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "embedder.md").read_text()
METRIC = r"`(lookalike_embedder_[a-z_]+)`"


def first_cells(pattern: str) -> set[str]:
    """What the tables' first columns name."""
    return set(re.findall(rf"^\| {pattern} \|", PAGE, re.MULTILINE))


def test_every_flag_is_there_with_its_variable() -> None:
    parameters = get_command(app).params
    documented = set(re.findall(r"^\| `(--[a-z0-9-]+)` \| `([A-Z0-9_]+)` \|", PAGE, re.MULTILINE))
    assert documented == {(parameter.opts[0], str(parameter.envvar)) for parameter in parameters}


def test_every_metric_is_there() -> None:
    exported = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in Metrics().registry.collect()
        if family.name.startswith("lookalike")
    }
    assert first_cells(METRIC) == exported


def test_labels_are_as_documented() -> None:
    labels = dict(re.findall(rf"^\| {METRIC} \| ([a-z, ]*?) *\|", PAGE, re.MULTILINE))
    metrics = Metrics()
    for collector, names in metrics.registry._collector_to_names.items():
        for name in names & labels.keys():
            assert ", ".join(getattr(collector, "_labelnames", ())) == labels[name], name
