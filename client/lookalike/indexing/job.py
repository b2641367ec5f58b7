"""A job is an item that is under way."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from lookalike._concurrency.budget import Room
from lookalike.fetch import Waiting
from lookalike.indexing.spool import Attempt
from lookalike.records import Item, Outcome
from lookalike.v1 import searcher_pb2 as wire


class Stage(StrEnum):
    """The stage says where a job is."""

    FETCHING = "fetching"
    """Its image is being read; or it waits for its turn with the host."""
    CHECKING = "checking"
    """The project is asked whether it holds the image."""
    EMBEDDING = "embedding"
    STORING = "storing"


@dataclass
class Watch:
    """A watch is told what a run is doing, to show it.

    Attributes:
        stages: how many items are in each stage now.
        put_off: how many wait for another try.
        waiting: while all items that are left wait, which hosts they wait for.
        fetched: how many images were read.
        embedded: how many images were embedded.
        unfinished: is called, if the run is stopped early, for each item that waited for another try.
    """

    stages: Counter[Stage] = field(default_factory=Counter)
    put_off: int = 0
    fetched: int = 0
    embedded: int = 0
    waiting: Sequence[Waiting] = ()
    unfinished: Callable[[Outcome], None] | None = None


@dataclass(eq=False, slots=True)
class Job:
    """A job is an item with what is known of it so far; `data` is let go of as soon as it is on its way.

    Attributes:
        attempt: what is tried.
        reference: for the wire.
        room: what its image holds of the budget of bytes.
        stored_sha256: the image that the project's reference shows; empty if there is none.
        stamp: that image's; once the image is read, its own.
        same_labels: whether the reference has the item's labels.
        stage: where it is.
        sha256: the image's hash, once it is known.
        data: the image.
        size: how many bytes it has; 0 where it was not read.
        note: what is to be said of the image; see `Outcome`.
    """

    attempt: Attempt
    reference: wire.Reference
    room: Room
    stored_sha256: bytes = b""
    stamp: str = ""
    same_labels: bool = False
    stage: Stage | None = None
    sha256: bytes = b""
    data: bytes = b""
    size: int = 0
    note: str = ""

    @property
    def item(self) -> Item:
        """Return the item that is under way."""
        return self.attempt.item

    @property
    def image_lost(self) -> bool:
        """Return whether the project held the image when it was asked, and no longer when it was to be stored."""
        return self.attempt.image_lost
