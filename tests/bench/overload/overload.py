"""A server's capacity, what is left of it when it is overloaded, and how soon all is well again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.figures import Figure
from tests.bench.overload.calls import REFUSED, REFUSED_BARE, RESET, caller
from tests.bench.overload.load import Load
from tests.bench.overload.recovery import Probe
from tests.bench.overload.tally import Tally

_PROBE_SECONDS: Final = 2.0
_STATUSES: Final = {
    "OK": "ok",
    "OK, late": "ok_late",
    REFUSED: "refused_with_retry_info",
    REFUSED_BARE: "refused_without_retry_info",
    RESET: "reset",
    "DEADLINE_EXCEEDED": "deadline_exceeded",
    "UNAVAILABLE": "unavailable",
}


@dataclass(frozen=True)
class Overloaded:
    """What was seen.

    Attributes:
        capacity: of the closed loop, answers a second.
        recovered: seconds.
        late_ms: of the generator.
        figures: all of it.
    """

    capacity: float
    recovered: float
    late_ms: float
    figures: list[Figure]


async def overload(load: Load, name: str, factor: float) -> Overloaded:
    """Ask for what the server can do, then for `factor` times as much, then for little."""
    plan = load.plan
    quiet = (await load.capacity()).tell(f"{name}, closed loop of 8 clients")
    if not (capacity := quiet.per_second):
        raise SystemExit(f"{name}: no call was answered within {plan.seconds:g} s; give --seconds more")
    async with caller(plan.method, plan.address, Path(plan.requests), plan.seed + 1) as made:
        probe = Probe(made, plan.deadline)
        before = await probe.p50(_PROBE_SECONDS)
        async with load.at(capacity * factor) as phase:
            await phase.sent()
            recovered = await probe.recovered(phase.counted[1], before)
            loud = (await phase.tally()).tell(f"{name}, {factor:g} times as much")
    print(f"{name}: a probe took {before * 1000:,.1f} ms before, and again {recovered:.2f} s after the overload")
    return Overloaded(capacity, recovered, loud.late_ms, _figures(name, capacity, loud, plan.deadline))


def _figures(name: str, capacity: float, loud: Tally, deadline: float) -> list[Figure]:
    p50, p99 = ((None if seconds is None else seconds / deadline) for seconds in (loud.ok_p50, loud.ok_p99))
    others = loud.statuses.total() - sum(loud.statuses[status] for status in _STATUSES)
    return [
        Figure(f"{name}_goodput_over_capacity", loud.per_second / capacity, loud.described, least=0.9),
        Figure(f"{name}_ok_p99_over_deadline", p99, "from when a call was due", most=0.5),
        Figure(f"{name}_ok_p50_over_deadline", p50, "the same calls"),
        Figure(f"{name}_capacity", capacity, "answers a second, closed loop of 8 clients"),
        Figure(f"{name}_refused_p50_ms", loud.refused_p50_ms, "from when a call that was refused was sent"),
        *(Figure(f"{name}_answers.{short}", loud.statuses[status]) for status, short in _STATUSES.items()),
        Figure(f"{name}_answers.other", others),
    ]
