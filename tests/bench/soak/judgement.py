"""What of the calls' errors was to be expected, how long a restart was felt, and how long calls took."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from tests.bench.latency import milliseconds
from tests.bench.soak.call_log import Call
from tests.bench.soak.restarts import Restart

_AWAY: Final = ("UNAVAILABLE", "HTTP 503", "EXIT 2")
"""What the contract has a caller be told while a server is away; of `lookalike index`, where it is for long."""
_QUANTILES: Final = (0.5, 0.9, 0.99)


class Row(NamedTuple):
    """A kind of call, in the table."""

    kind: str
    calls: int
    p50: float
    p90: float
    p99: float
    expected: int
    unexpected: int


class Judgement:
    """Of a run.

    Args:
        calls: all of them.
        restarts: in order.
    """

    def __init__(self, calls: Sequence[Call], restarts: Sequence[Restart]) -> None:
        self._calls, self._restarts = calls, restarts
        self._failed = [call for call in calls if call.error]

    def unexpected(self) -> Counter[tuple[str, str]]:
        """How many errors there were that nothing excuses, by kind of call and error."""
        return Counter((call.kind, call.error) for call in self._failed if not self._excused(call))

    def expected(self) -> Counter[tuple[str, str]]:
        """How many errors there were while a server was away."""
        return Counter((call.kind, call.error) for call in self._failed if self._excused(call))

    def rows(self) -> list[Row]:
        """A row for each kind of call, in their names' order."""
        return [self._row(kind) for kind in sorted({call.kind for call in self._calls})]

    def latencies(self, prefix: str, *, calm: bool) -> list[float]:
        """Seconds of the answered calls whose kind begins so; `calm`: only of those that met no restart."""
        answered = [call for call in self._calls if not call.error and call.kind.startswith(prefix)]
        return [call.seconds for call in answered if not (calm and self._meets(call))]

    def recoveries(self) -> dict[tuple[str, str], float | None]:
        """Of each restart and each kind of call that failed by it: seconds until calls succeeded again, None for never.

        That is from the restart to the answer to the first call that began after the last failed one, and succeeded.
        """
        found: dict[tuple[str, str], float | None] = {}
        for restart, following in pairwise([*self._restarts, None]):
            assert restart is not None
            until = following.at if following else float("inf")
            for kind in sorted({call.kind for call in self._failed}):
                of_kind = [call for call in self._calls if call.kind == kind and call.due < until]
                lost = [call.due for call in of_kind if call.error and _within(call, restart)]
                if lost:
                    good = [call.ended for call in of_kind if not call.error and call.due > max(lost)]
                    found[restart.name, kind] = min(good) - restart.at if good else None
        return found

    def _row(self, kind: str) -> Row:
        of_kind = [call for call in self._calls if call.kind == kind]
        seconds = [call.seconds for call in of_kind if not call.error] or [float("nan")]
        p50, p90, p99 = (milliseconds(seconds, quantile) for quantile in _QUANTILES)
        failed = [call for call in of_kind if call.error]
        excused = sum(map(self._excused, failed))
        return Row(kind, len(of_kind), p50, p90, p99, excused, len(failed) - excused)

    def _excused(self, call: Call) -> bool:
        return call.error.startswith(_AWAY) and self._meets(call)

    def _meets(self, call: Call) -> bool:
        return any(_within(call, restart) for restart in self._restarts)


def _within(call: Call, restart: Restart) -> bool:
    return call.due <= restart.end and call.ended >= restart.at
