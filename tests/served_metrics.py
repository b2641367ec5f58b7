"""What a server process exports on its port for metrics."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from lookalike.processes import ServerProcess


def metrics_port(server: ServerProcess) -> int:
    """The port, by what the server said when it was ready."""
    return int(server.description.rpartition("metrics on port ")[2])


def served(port: int, **labels: str) -> dict[str, float]:
    """The value of each series that has these labels, by its name."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    families = text_string_to_metric_families(text)
    return {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if labels.items() <= sample.labels.items()
    }
