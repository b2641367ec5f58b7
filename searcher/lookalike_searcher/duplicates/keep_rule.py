"""Choose the image of a cluster that is suggested to be kept."""

import enum
from datetime import datetime
from typing import Any, NamedTuple


class KeepRule(enum.Enum):
    """The rule says which image to keep. Where it does not decide, the others do, in this order, then the hash."""

    LARGEST = enum.auto()
    OLDEST = enum.auto()
    MOST_USED = enum.auto()


class Worth(NamedTuple):
    """The worth of an image is what the rules look at: pixels, bytes, when it was indexed, how often it is used."""

    id: int
    sha256: bytes
    pixels: int
    file_size: int
    create_time: datetime
    reference_count: int
    product_count: int

    def place(self, rule: KeepRule) -> tuple[Any, ...]:
        """Return what images are sorted by: the one that is to be kept comes first."""
        rules: dict[KeepRule, tuple[Any, ...]] = {
            KeepRule.LARGEST: (-self.pixels, -self.file_size),
            KeepRule.OLDEST: (self.create_time, self.id),
            KeepRule.MOST_USED: (-self.reference_count,),
        }
        others = (rules[other] for other in KeepRule if other is not rule)
        return (*rules[rule], *(value for values in others for value in values), self.sha256)
