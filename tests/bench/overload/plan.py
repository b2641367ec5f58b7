"""What the conductor tells the load generator: a JSON object on its command line."""

import json
from dataclasses import asdict, dataclass
from typing import Literal, Self

Method = Literal["Search", "Embed"]
Arrivals = Literal["exponential", "fixed"]


@dataclass(frozen=True)
class Plan:
    """A phase of the generator.

    Attributes:
        method: what is called.
        address: the server's.
        requests: folder of the requests, a file each, as they travel.
        answers: file for what became of the calls.
        deadline: seconds that a caller of the open loop waits, from when the call was due.
        seed: of the order of the requests, and of the arrivals.
        warm_up: seconds before anything counts.
        seconds: how long it counts after that.
        rate: calls a second of the open loop; None: a closed loop, to see what the server can do.
        arrivals: how the open loop's calls are spaced.
    """

    method: Method
    address: str
    requests: str
    answers: str
    deadline: float
    seed: int
    warm_up: float
    seconds: float
    rate: float | None = None
    arrivals: Arrivals = "exponential"

    def written(self) -> str:
        """As it is handed over."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Self:
        """As it was."""
        return cls(**json.loads(text))
