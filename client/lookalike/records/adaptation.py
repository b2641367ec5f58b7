"""These records say what adapting to a shop found and did."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A figure is given with the interval that holds it with 99 % confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Gain:
    """The gain is what a projection does to products that it was not learned from, by mean average precision: 0 to 1.

    Attributes:
        products: how many were held out.
        queries: how many of their images were searched for, among all of theirs.
        before: in the space that writers fill.
        after: in the projected one.
        difference: after less before, query by query.
    """

    products: int
    queries: int
    before: Interval
    after: Interval
    difference: Interval

    @property
    def helps(self) -> bool:
        """Say whether it is better beyond doubt: the whole interval of the difference is above 0."""
        return self.difference.low > 0


@dataclass(frozen=True)
class Adaptation:
    """An adaptation is what adapting a project came to.

    Attributes:
        source: the space whose vectors were learned from.
        images: how many vectors were read.
        products: how many products of two or more images they show.
        gain: what was measured; None where it was learned without labels, which cannot be measured.
        space: the space that was published; empty if none was, as it did not help, or was not to be.
        labels: how many values of the label that was named, each of two or more images without such a product.
        judgements: how many pairs of images that users judged.
        copies: how many pairs of an image and its proven copy.
    """

    source: str
    images: int
    products: int
    gain: Gain | None
    space: str
    labels: int = 0
    judgements: int = 0
    copies: int = 0
