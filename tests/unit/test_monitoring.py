"""Dashboards, rules and alerts ask for what the servers export; the runbook names what there is."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from prometheus_client import CollectorRegistry

from lookalike_embedder.metrics import Metrics as EmbedderMetrics
from lookalike_gateway.metrics import Metrics as GatewayMetrics
from lookalike_gateway.routes import health
from lookalike_searcher.metrics import Metrics as SearcherMetrics
from tests.deployment import DEPLOY, PROGRAMS, ROOT

OBSERVE = DEPLOY / "observe"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((OBSERVE / "rules.yaml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((OBSERVE / "dashboards").glob("*.json"))}
PROMETHEUS_LABELS = {"instance", "job", "namespace"}
"""What Prometheus adds to all that it scrapes."""


@dataclass(frozen=True)
class Asked:
    """A query, the labels that its texts show, and where it stands."""

    expression: str
    shown: frozenset[str]
    place: str


def exported(registry: CollectorRegistry) -> dict[str, set[str]]:
    """Each series of a registry, by the name that Prometheus knows it by, with its labels."""
    labels = {
        name: set(getattr(collector, "_labelnames", ()))
        for collector, names in registry._collector_to_names.items()
        for name in names
    }
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",), "info": ("_info",)}
    found = {}
    for family in registry.collect():
        for suffix in suffixes.get(family.type, ("",)):
            found[family.name + suffix] = labels.get(family.name, set()) | ({"le"} if suffix == "_bucket" else set())
    return found


def texts(value: object) -> str:
    return " ".join(map(str, value.values())) if isinstance(value, dict) else str(value)


def shown(text: str) -> frozenset[str]:
    """The labels that a legend or an annotation fills in."""
    return frozenset(re.findall(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}", text))


def queries() -> Iterator[Asked]:
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            for target in panel["targets"]:
                place = f"{name}: {panel['title']}"
                yield Asked(target["expr"].replace("$__rate_interval", "5m"), shown(target["legendFormat"]), place)
    for rule in RULES:
        yield Asked(rule["expr"], shown(texts(rule.get("annotations", ""))), rule.get("alert") or rule["record"])
    kubernetes = DEPLOY / "kubernetes" / "components"
    [trigger] = yaml.safe_load((kubernetes / "keda" / "scaledobject.yaml").read_text())["spec"]["triggers"]
    yield Asked(trigger["metadata"]["query"], frozenset(), "KEDA")
    [rule] = yaml.safe_load((kubernetes / "queue-wait-hpa" / "adapter-rule.yaml").read_text())["externalRules"]
    query = rule["metricsQuery"].replace("<<.LabelMatchers>>", 'namespace="x"').replace("<<.GroupBy>>", "namespace")
    yield Asked(query, frozenset(), "adapter")


QUERIES = list(queries())
SERIES = {
    **exported(EmbedderMetrics().registry),
    **exported(GatewayMetrics().registry),
    **exported(SearcherMetrics().registry),
    "up": set(),
    "ALERTS": {"alertname", "alertstate"},
}


def nodes(expression: Any, kind: str) -> list[Any]:  # noqa: ANN401 - the parser's own types
    found: list[Any] = []
    promql.walk(expression, lambda node: found.append(node) if type(node).__name__ == kind else None)
    return found


def recorded() -> dict[str, set[str]]:
    """The series that rules record, with the labels by which they are summed."""
    return {
        rule["record"]: set().union(
            *(node.modifier.labels for node in nodes(promql.parse(rule["expr"]), "AggregateExpr") if node.modifier)
        )
        - {"le"}
        for rule in RULES
        if "record" in rule
    }


KNOWN = SERIES | recorded()


@pytest.mark.parametrize("asked", QUERIES, ids=lambda asked: str(asked.place))
def test_a_query_asks_for_series_and_labels_that_there_are(asked: Asked) -> None:
    expression = promql.parse(asked.expression)
    selectors = nodes(expression, "VectorSelector")
    assert selectors
    labels: set[str] = set(PROMETHEUS_LABELS)
    for selector in selectors:
        assert selector.name in KNOWN
        labels |= KNOWN[selector.name]
        for matcher in selector.matchers.matchers:
            assert matcher.name in KNOWN[selector.name] | PROMETHEUS_LABELS
    grouped = [node.modifier.labels for node in nodes(expression, "AggregateExpr") if node.modifier]
    assert {name for by in grouped for name in by} <= labels
    outermost = set(grouped[0]) if grouped and type(expression).__name__ == "AggregateExpr" else labels
    assert asked.shown <= outermost


def test_values_that_are_asked_for_are_those_of_the_wire_and_the_pages() -> None:
    protos = "".join(path.read_text() for path in (ROOT / "protos").rglob("*.proto"))
    pages = "".join((ROOT / "docs" / f"{name}.md").read_text() for name in ("embedder", "searcher"))
    codes = {"OK", "INTERNAL", "UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED"}
    for asked in QUERIES:
        for selector in nodes(promql.parse(asked.expression), "VectorSelector"):
            for matcher in selector.matchers.matchers:
                for value in matcher.value.split("|"):
                    match matcher.name:
                        case "reason":
                            assert re.search(rf"\b{value}\b", protos + pages), value
                        case "code":
                            assert value in codes
                        case "job":
                            assert value in {"embedder", "searcher", "http"}
                        case "status":
                            assert value == "5.."
                        case "route":
                            assert value in {route.path for route in health.router.routes}
                        case "namespace" | "alertname" | "alertstate":
                            pass
                        case _:
                            assert f"`{value}`" in pages, value


def test_each_metric_of_ours_is_on_a_dashboard() -> None:
    asked = " ".join(query.expression for query in QUERIES)
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in SERIES if name.startswith("lookalike")}
    assert {family for family in families if family not in asked} == set()


def test_two_installations_that_one_prometheus_watches_are_told_apart() -> None:
    for asked in QUERIES:
        if asked.place in ALERTS or (":" in asked.place and asked.place in recorded()):
            for node in nodes(promql.parse(asked.expression), "AggregateExpr"):
                assert node.modifier, asked.place
                assert "namespace" in node.modifier.labels, asked.place


def test_the_operators_rules_are_those_of_compose() -> None:
    operators = yaml.safe_load((OBSERVE / "prometheusrule.yaml").read_text())
    assert operators["spec"] == yaml.safe_load((OBSERVE / "rules.yaml").read_text())


def test_dashboards_are_told_apart_and_their_panels_do_not_lie_on_each_other() -> None:
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)
    for board in BOARDS.values():
        places = [panel["gridPos"] for panel in board["panels"]]
        cells = [
            (place["x"] + x, place["y"] + y) for place in places for x in range(place["w"]) for y in range(place["h"])
        ]
        assert len(cells) == len(set(cells))
        assert all(0 <= x < 24 for x, _ in cells)
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        sources = {target["datasource"]["uid"] for panel in board["panels"] for target in panel["targets"]}
        assert sources == {"prometheus"}


def headings() -> set[str]:
    found = re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)
    return {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_its_place_in_the_runbook(alert: str) -> None:
    page, _, heading = ALERTS[alert]["annotations"]["runbook_url"].partition("#")
    assert re.fullmatch(r"https://[a-z./]+/runbook\.md", page)
    assert heading in headings()
    assert ALERTS[alert]["labels"]["severity"] in {"critical", "warning"}
    assert f"`{alert}`" in RUNBOOK


def test_the_runbook_names_alerts_panels_and_flags_that_there_are() -> None:
    assert len(headings()) >= 10
    assert set(re.findall(r"`(Lookalike\w+)`", RUNBOOK)) == set(ALERTS)
    panels = {(name.capitalize(), panel["title"]) for name, board in BOARDS.items() for panel in board["panels"]}
    named = set(re.findall(r"\*\*(\w+): ([^*]+)\*\*", " ".join(RUNBOOK.split())))
    assert len(named) >= 10
    assert named <= panels
    flags = {flag for name in ("embedder", "searcher", "http", "index") for flag in PROGRAMS[name].flags} | {"--exact"}
    assert set(re.findall(r"`(--[a-z-]+)", RUNBOOK)) <= flags
    for link in re.findall(r"\]\((?!http)([^)#]+)", RUNBOOK):
        assert (Path(ROOT / "docs") / link).exists()
