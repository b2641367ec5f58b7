"""All servers have these settings."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from lookalike_serving.listening import address_of, listen
from lookalike_serving.options import Option
from lookalike_serving.security.config import Security

Port = Annotated[int, Option("Port to listen on; 0 picks a free one.", min=0, max=65535)]
ProbeInterval = Annotated[float, Option("Seconds between two health probes.", min=0.1)]


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """A server listens, lets callers in, logs, ends, and shows metrics on a port of their own. Times are in seconds."""

    METRICS_PORT: ClassVar[int]
    """Prometheus reads on this port unless another one is set."""

    host: Annotated[str, Option("Interface to listen on.")] = "127.0.0.1"
    port: Port
    metrics_port: Annotated[
        int | None,
        Option(
            "Port of /metrics; 0 picks a free one. Left out: 9464 for the embedder, 9465 for the searcher and 9463 for"
            " the gateway, or a free one if --port is 0.",
            min=0,
            max=65535,
        ),
    ] = None
    grace: Annotated[float, Option("Seconds for calls in flight to end.", min=0)] = 20.0
    security: Security = field(default_factory=Security)
    audit_log: Annotated[
        Path | None, Option("File for the audit log, in JSON lines; left out, the log.", shared=True)
    ] = None
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Option("Least level logged.", shared=True)] = (
        "INFO"
    )
    log_format: Annotated[Literal["text", "json"], Option("Lines for people, or JSON objects.", shared=True)] = "text"

    @property
    def metrics_address(self) -> tuple[str, int]:
        """Return where Prometheus reads: as set, else on METRICS_PORT, or on a free port where `port` is one too."""
        return self.host, (self.METRICS_PORT if self.port else 0) if self.metrics_port is None else self.metrics_port

    def check_ports(self) -> None:
        """Check that both ports are free, before anything is started that takes time. Raises OSError."""
        with ExitStack() as stack:  # both are held until both are known to be free: they may be the same
            for host, port, flag in ((self.host, self.port, "--port"), (*self.metrics_address, "--metrics-port")):
                if port:
                    stack.enter_context(listen(host, port, flag))


@dataclass(frozen=True, kw_only=True)
class GrpcSettings(ServerSettings):
    """A gRPC server probes its own health. Times are in seconds."""

    probe_interval: ProbeInterval

    @property
    def address(self) -> str:
        """Return where to listen, as `host:port`."""
        return address_of(self.host, self.port)
