"""Metrics over HTTP, on a port of their own, for Prometheus. Needs `prometheus-client`."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server


@contextmanager
def metrics_served(address: tuple[str, int], registry: CollectorRegistry) -> Iterator[int]:
    """Serve the metrics on host and port; port 0 picks a free one. Yields the port."""
    host, port = address
    try:
        http, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise RuntimeError(f"metrics port {port}: {error.strerror}; see --metrics-port") from error
    try:
        yield http.server_port
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
