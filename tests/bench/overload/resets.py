"""The share of calls that gRPC resets, by a server's metrics, beside what callers saw."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tests.bench.figures import Figure
from tests.bench.overload.calls import RESET
from tests.served_metrics import served, total


@dataclass(frozen=True)
class Calls:
    """How many calls had arrived at a server, and how many of them its event loop had taken."""

    arrived: float
    taken: float

    @classmethod
    def read(cls, port: int, name: str) -> Self:
        """From the metrics that the server of that name exports on this port."""
        samples = served(port)
        return cls(*(total(samples, f"lookalike_{name}_calls_{what}_total") for what in ("arrived", "taken")))

    def since(self, before: "Calls") -> "Calls":
        """Those from then on."""
        return Calls(self.arrived - before.arrived, self.taken - before.taken)


def share_by_metrics(name: str, phases: Sequence[Calls], statuses: Counter[str]) -> Figure:
    """What the metrics tell of these overloads, in which callers saw these statuses."""
    arrived, taken = sum(phase.arrived for phase in phases), sum(phase.taken for phase in phases)
    told = f"of {arrived:,.0f} calls; callers saw {statuses[RESET] / statuses.total():.3f} of those that count"
    return Figure(f"{name}_reset_share_by_metrics", 1 - taken / arrived, told)
