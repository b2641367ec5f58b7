"""What a server process exports on its port for metrics."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from lookalike.processes import ServerProcess


def metrics_port(server: ServerProcess) -> int:
    """The port, by what the server said when it was ready."""
    return int(server.description.rpartition("metrics on port ")[2])


def served(port: int, host: str = "127.0.0.1") -> list[Sample]:
    """All that is exported there."""
    text = urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=60).read().decode()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def total(samples: list[Sample], name: str, **labels: str) -> float:
    """The sum of the series of that name that have these labels."""
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())
