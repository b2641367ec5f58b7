"""One image on its way through the embedder."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from lookalike._transport.call_context import REQUEST_ID
from lookalike_embedder.image import Info, Pixels


class Lane(StrEnum):
    """Who waits for the answer: somebody, now, or a run over many images."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Embedded:
    """What an image became.

    Attributes:
        vector: 512 little-endian float32 of length 1, as they travel.
        sha256: of the file.
        info: what the file was found to be.
    """

    vector: bytes
    sha256: bytes
    info: Info


@dataclass(eq=False, slots=True)
class Job:
    """One image, from the request to the answer. Times are in seconds; moments are of `time.monotonic`.

    Attributes:
        data: the image file, of `size` bytes; let go of as soon as it is decoded.
        lane: who waits.
        request_id: of the call that it came with.
        done: called on the event loop, once, when `result` is there; never after `cancel`.
        cancelled, ended: whether nobody waits any more; whether `result` or `failure` stands.
        deadline: when the answer is of no use any more.
        sha256, info, pixels: what decoding found.
        result: the answer, if there is one.
        failure: why there is none.
        cached: whether the answer was known from before.
        decode_seconds, compute_seconds: how long the image was decoded, and its batch computed.
    """

    data: bytes
    lane: Lane
    done: "Callable[[Job], None]"
    deadline: float = math.inf
    size: int = field(init=False)
    request_id: str = field(default_factory=REQUEST_ID.get)
    entered: float = field(default_factory=time.monotonic)
    cancelled: bool = False
    ended: bool = False
    sha256: bytes = b""
    info: Info | None = None
    pixels: Pixels | None = None
    result: Embedded | None = None
    failure: Exception | None = None
    cached: bool = False
    decode_seconds: float = 0.0
    compute_seconds: float = 0.0
    total_seconds: float = 0.0

    @property
    def queue_seconds(self) -> float:
        """How long it waited for either."""
        return max(0.0, self.total_seconds - self.decode_seconds - self.compute_seconds)

    def __post_init__(self) -> None:
        """Note how large the file is, for when it is gone."""
        self.size = len(self.data)

    def cancel(self) -> None:
        """Nobody waits any more: what has not begun does not begin."""
        self.cancelled = True

    def is_wanted(self) -> bool:
        """Whether somebody still waits for the answer."""
        return not self.cancelled and not self.is_late()

    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.deadline
