"""Follow one image, or one text, on its way through the embedder."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from lookalike._transport.call_context import REQUEST_ID
from lookalike_embedder.image import Info, Pixels
from lookalike_embedder.text import Tokens
from lookalike_serving.fingerprint import Fingerprint
from lookalike_serving.patience import overdue_after


class Lane(StrEnum):
    """The lane of a job says who waits for its answer: a caller, now, or a run over many images."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Embedded:
    """The result of an image or a text is its vector, with what is known of the file.

    Attributes:
        vector: little-endian float32 of length 1, as on the wire.
        sha256: the hash of the file, or of the text in UTF-8.
        info: the file's format, size and orientation; None of a text.
        fingerprint: the picture's fingerprint, if it was asked for.
        views: the vectors of its views, if they were asked for.
    """

    vector: bytes
    sha256: bytes
    info: Info | None
    fingerprint: Fingerprint | None = None
    views: tuple[bytes, ...] = ()


@dataclass(eq=False, slots=True)
class Job:
    """A job is one image or one text, from the request to the answer. Points in time are those of `time.monotonic`.

    Attributes:
        data: the image file, or the text in UTF-8, of `size` bytes; dropped as soon as it is decoded.
        lane: who waits.
        done: is called once on the event loop, when `result` or `failure` is set; never after `cancel`.
        deadline: when the answer is of no use any more.
        wants_fingerprint: whether a fingerprint is made, too.
        wants_views: whether views are embedded, too.
        is_text: whether it is a text, which is always interactive.
        request_id: the id of the call that brought it.
        entered: when the job was created.
        cancelled: whether the caller does not wait any more.
        ended: whether `result` or `failure` is final.
        sha256, info, pixels, fingerprint, views: what decoding an image has set.
        tokens: what decoding a text has set, beside its hash.
        result: the result, if there is one.
        failure: why there is none.
        cached: whether the result came from the cache.
        decode_seconds, compute_seconds: how long the image was decoded, and its batch computed.
        total_seconds: how long the job took.
    """

    data: bytes
    lane: Lane
    done: "Callable[[Job], None]"
    deadline: float = math.inf
    wants_fingerprint: bool = False
    wants_views: bool = False
    is_text: bool = False
    size: int = field(init=False)
    request_id: str = field(default_factory=REQUEST_ID.get)
    entered: float = field(default_factory=time.monotonic)
    cancelled: bool = False
    ended: bool = False
    sha256: bytes = b""
    info: Info | None = None
    pixels: Pixels | None = None
    tokens: Tokens | None = None
    fingerprint: Fingerprint | None = None
    views: Sequence[Pixels] = ()
    result: Embedded | None = None
    failure: Exception | None = None
    cached: bool = False
    decode_seconds: float = 0.0
    compute_seconds: float = 0.0
    total_seconds: float = 0.0

    @property
    def queue_seconds(self) -> float:
        """Return how long the job waited to be decoded and computed."""
        return max(0.0, self.total_seconds - self.decode_seconds - self.compute_seconds)

    @property
    def what(self) -> str:
        """Return what it is, in words."""
        return "text" if self.is_text else "image"

    @property
    def images(self) -> Sequence[Pixels]:
        """Return what is computed: the picture and its views."""
        return () if self.pixels is None else (self.pixels, *self.views)

    def __post_init__(self) -> None:
        """Note the size of the file, which is dropped later."""
        self.size = len(self.data)

    def cancel(self) -> None:
        """Note that nobody waits any more, so that no further stage begins."""
        self.cancelled = True

    def is_wanted(self) -> bool:
        """Return whether somebody still waits for the answer."""
        return not self.cancelled and not self.is_late()

    def is_late(self) -> bool:
        """Return whether the deadline has passed."""
        return time.monotonic() >= self.deadline

    def is_overdue(self) -> bool:
        """Return whether it has waited for much longer than it was expected to when it was admitted."""
        return time.monotonic() - self.entered > overdue_after(self.deadline - self.entered)
