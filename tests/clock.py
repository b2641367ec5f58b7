"""A clock that the test sets, for the code that it tests."""

from dataclasses import dataclass, field


@dataclass
class Clock:
    """What time it is, in place of the modules `time` and `asyncio`: whoever sleeps moves it on.

    Attributes:
        now: seconds.
        slept: the seconds of each sleep.
    """

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
