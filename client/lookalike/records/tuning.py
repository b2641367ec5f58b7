"""These records are about how the searcher tunes a project by itself."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TuningPolicy(StrEnum):
    """The policy says how far the searcher may tune a project by itself."""

    OFF = "off"
    """The searcher does nothing by itself."""
    PROPOSE = "propose"
    """It learns and measures, and proposes what helps."""
    AUTO = "auto"
    """It also cuts over to what helps, and goes back if searches become worse."""


class TuningStage(StrEnum):
    """The stage says how far the tuning of a project has come."""

    IDLE = "idle"
    """Nothing is under way at the moment."""
    PROPOSED = "proposed"
    """A space is proposed, and waits to be accepted."""
    BUILDING = "building"
    """A space is being filled, and will serve."""
    WATCHING = "watching"
    """A space serves, and the quality of its searches is watched."""
    OTHER = "other"
    """A stage that is newer than this library."""


@dataclass(frozen=True)
class MeasuredGain:
    """The measured gain is what a space does to products that it was not learned from: mean average precision, 0 to 1.

    Attributes:
        products: how many were held out, each once.
        queries: how many of their images were searched for.
        before: in the space that served.
        after: in the new one.
        low: the difference of both is at least this, with 99 % confidence.
        high: the difference of both is at most this, with 99 % confidence.
    """

    products: int
    queries: int
    before: float
    after: float
    low: float
    high: float

    @property
    def helps(self) -> bool:
        """Say whether it is better beyond doubt: the whole interval of the difference is above 0."""
        return self.low > 0


@dataclass(frozen=True)
class Learning:
    """The learning says what a derived space was learned from.

    Attributes:
        method: `mean` (half of the mean is taken out), `products` (which images show the same product), or `unlabelled`
            (the vectors alone).
        images: how many images.
        products: how many products of two or more images.
        judgements: how many pairs of images that users judged.
        gain: what was measured; None where it could not be.
        labels: how many values of a label, each of two or more images that have no such product.
        copies: how many pairs of which one was proven to be a copy of the other.
        tells_variants_apart: whether the variants of a product are told apart; otherwise they are alike.
    """

    method: str
    images: int
    products: int
    judgements: int
    gain: MeasuredGain | None = None
    labels: int = 0
    copies: int = 0
    tells_variants_apart: bool = False


@dataclass(frozen=True)
class Tuning:
    """The tuning is what the searcher has done to tune a project.

    Attributes:
        stage: how far it has come.
        space: what is proposed, built or watched; empty if nothing is under way.
        learning: what that was learned from.
        step: the last step; empty before the first.
        detail: why, for people.
        step_time: when; None before the first.
    """

    stage: TuningStage
    space: str = ""
    learning: Learning | None = None
    step: str = ""
    detail: str = ""
    step_time: datetime | None = None
