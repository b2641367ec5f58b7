"""What became of the calls of a phase, as rates, quantiles and counts."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from tests.bench.latency import milliseconds
from tests.bench.overload.calls import OK, REFUSED, REFUSED_BARE, RESET, Answer
from tests.bench.overload.plan import Plan

_LATE_SHARE: Final = 0.05
"""Of the deadline: a generator later than that at its 99th percentile measures itself."""
_LEAST_SENT: Final = 0.95
"""Of the calls that were to be sent."""


class Tally:
    """The calls that ended while it counted: those that a server answered later tell of its queue, not of its pace.

    Attributes:
        statuses: how many calls had which.
        per_second: answers that were OK, within the deadline, each second.
        ok_p50, ok_p99: seconds of these from when they were due; None without any.
        refused_p50_ms: how long a refusal took from when it was sent; None without any.
        late_ms: the 99th percentile of how late the generator sent.
        generator_cores: the processors that the generator took.
        described: the same in a sentence.
    """

    def __init__(self, answers: Sequence[Answer], counted: tuple[float, float], plan: Plan, cores: float) -> None:
        began, end = counted
        ended = [answer for answer in answers if began <= answer.ended < end]
        ok = [answer.ended - answer.due for answer in ended if answer.status == OK]
        refused = [answer.ended - answer.sent for answer in ended if answer.status in (REFUSED, REFUSED_BARE, RESET)]
        due = [answer for answer in answers if began <= answer.due < end]
        sent = sum(began <= answer.sent < end for answer in answers)
        self.statuses = Counter(answer.status for answer in ended)
        self.per_second = len(ok) / (end - began)
        self.ok_p50, self.ok_p99 = (float(np.quantile(ok, of)) if ok else None for of in (0.5, 0.99))
        self.refused_p50_ms = milliseconds(refused) if refused else None
        self.generator_cores = cores
        self.late_ms = milliseconds([answer.sent - answer.due for answer in due], 0.99) if due else 0.0
        self._is_behind = self.late_ms > plan.deadline * _LATE_SHARE * 1000 or sent < _LEAST_SENT * len(due)
        offered = f"{len(due) / (end - began):,.1f} calls/s for {end - began:.0f} s"
        self.described = f"{offered}: {self._counts()}; the generator took {cores:.2f} cores"

    def warn(self, phase: str) -> None:
        """Say so where the generator could not keep up: the phase's figures are then its own, not the server's."""
        if self._is_behind:
            print(f"THE GENERATOR COULD NOT KEEP UP in {phase}: its 99th percentile was {self.late_ms:,.0f} ms late")

    def tell(self, phase: str) -> "Tally":
        """Print it, with what the figures leave out."""
        quantiles = (
            "" if self.ok_p50 is None else f"; OK p50 {self.ok_p50 * 1000:,.0f} ms, p99 {self.ok_p99 or 0:.3f} s"
        )
        refusal = "" if self.refused_p50_ms is None else f"; a refusal took {self.refused_p50_ms:,.1f} ms at the median"
        print(f"{phase}: {self.per_second:,.1f} OK/s of {self.described}{quantiles}{refusal}")
        self.warn(phase)
        return self

    def _counts(self) -> str:
        total = self.statuses.total()
        return ", ".join(f"{status} {count:,} ({count / total:.0%})" for status, count in self.statuses.most_common())
