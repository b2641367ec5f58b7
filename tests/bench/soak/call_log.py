"""What became of each call: a line of JSON each, written by the generator, read by the judge.

Times are of the monotonic clock, which all processes of a Linux machine share.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Call(NamedTuple):
    """One call.

    Attributes:
        kind: what was asked.
        due: when it was to begin, by the schedule.
        ended: when the answer was there.
        error: empty, or why there was none: status and reason.
    """

    kind: str
    due: float
    ended: float
    error: str = ""

    @property
    def seconds(self) -> float:
        """From when it was due: time that the generator lost counts as well."""
        return self.ended - self.due


def line(call: Call) -> str:
    """As it is written."""
    return json.dumps(call) + "\n"


def read(path: Path) -> Iterator[Call]:
    """All of a file."""
    with path.open() as lines:
        for text in lines:
            yield Call(*json.loads(text))
