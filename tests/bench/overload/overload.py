"""A server's capacity, what is left of it when it is overloaded, and how soon all is well again."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.bench.figures import Figure
from tests.bench.overload.calls import REFUSED, REFUSED_BARE, RESET, caller
from tests.bench.overload.load import Load
from tests.bench.overload.recovery import Probe
from tests.bench.overload.resets import Calls, share_by_metrics
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
class Server:
    """The server under load.

    Attributes:
        name: of its figures.
        program: `searcher` or `embedder`.
        metrics_port: where it exports its metrics.
    """

    name: str
    program: str
    metrics_port: int

    def calls(self) -> Calls:
        """By its metrics, so far."""
        return Calls.read(self.metrics_port, self.program)


@dataclass(frozen=True)
class Overloaded:
    """What was seen.

    Attributes:
        capacity: of the closed loop, answers a second: the median over the turns.
        recovered: seconds, the worst of the turns.
        late_ms: of the generator, the worst of the turns.
        figures: all of it.
    """

    capacity: float
    recovered: float
    late_ms: float
    figures: list[Figure]


async def overload(load: Load, server: Server, factor: float, turns: int) -> Overloaded:
    """Ask by turns for what the server can do, and for `factor` times as much; each time then for little."""
    name, came = server.name, []
    quiet, loud, recovered = [await _capacity(load, name)], [], []
    async with caller(load.plan.method, load.plan.address, Path(load.plan.requests), load.plan.seed + 1) as made:
        probe = Probe(made, load.plan.deadline)
        for _ in range(turns):
            before, calls_before = await probe.p50(_PROBE_SECONDS), server.calls()
            async with load.at(quiet[-1] * factor) as phase:
                await phase.sent()
                came.append(server.calls().since(calls_before))
                recovered.append(await probe.recovered(phase.counted[1], before))
                loud.append((await phase.tally()).tell(f"{name}, {factor:g} times as much"))
            print(f"{name}: a probe took {before * 1000:,.1f} ms before, and again {recovered[-1]:.2f} s after it")
            quiet.append(await _capacity(load, name))
    figures = _figures(name, quiet, loud, came, load.plan.deadline)
    return Overloaded(statistics.median(quiet), max(recovered), max(tally.late_ms for tally in loud), figures)


async def _capacity(load: Load, name: str) -> float:
    quiet = (await load.capacity()).tell(f"{name}, closed loop of 8 clients")
    if not quiet.per_second:
        raise SystemExit(f"{name}: no call was answered within {load.plan.seconds:g} s; give --seconds more")
    return quiet.per_second


def _figures(
    name: str, quiet: Sequence[float], loud: Sequence[Tally], came: Sequence[Calls], deadline: float
) -> list[Figure]:
    """Each turn's goodput is over the capacities before and after it, as the machine is not always equally quick."""
    kept = [turn.per_second / statistics.mean(around) for turn, around in zip(loud, pairwise(quiet), strict=True)]
    statuses = sum((turn.statuses for turn in loud), Counter[str]())
    others = statuses.total() - sum(statuses[status] for status in _STATUSES)
    p50, p99 = _worst([turn.ok_p50 for turn in loud]), _worst([turn.ok_p99 for turn in loud])
    return [
        Figure(
            f"{name}_goodput_over_capacity",
            statistics.median(kept),
            f"turns: {_listed(kept, '.3f')}; the last one: {loud[-1].described}",
            least=0.9,
        ),
        Figure(f"{name}_goodput_worst", min(kept), "of these turns"),
        Figure(
            f"{name}_ok_p99_over_deadline", p99 and p99 / deadline, "from when a call was due; the worst turn", most=0.5
        ),
        Figure(f"{name}_ok_p50_over_deadline", p50 and p50 / deadline, "the same"),
        Figure(
            f"{name}_capacity",
            statistics.median(quiet),
            f"answers/s, closed loop of 8 clients: {_listed(quiet, ',.1f')}",
        ),
        Figure(
            f"{name}_refused_p50_ms",
            _worst([turn.refused_p50_ms for turn in loud]),
            "since it was sent; the worst turn",
        ),
        Figure(
            f"{name}_generator_cores",
            max(turn.generator_cores for turn in loud),
            "that the generator took, of its own one; the worst turn",
        ),
        share_by_metrics(name, came, statuses),
        *(Figure(f"{name}_answers.{short}", statuses[status]) for status, short in _STATUSES.items()),
        Figure(f"{name}_answers.other", others),
    ]


def _worst(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _listed(values: Sequence[float], form: str) -> str:
    return ", ".join(format(value, form) for value in values)
