"""Share a manifest: each of several indexers takes the items whose URIs are its own."""

import zlib
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Shard:
    """A shard is one of `count` shares, of the numbers 0 to `count` - 1. A URI is always in the same one."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        """Check the range of both numbers. Raises ValueError."""
        if not 0 <= self.index < self.count:
            raise ValueError(f"a shard is one of 0 to n-1 of n, got {self.index}/{self.count}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the share that is written as `i/n`. Raises ValueError."""
        index, slash, count = text.partition("/")
        if not slash:
            raise ValueError(f"a shard is i/n, for example 0/4, got {text!r}")
        return cls(int(index), int(count))

    def has(self, uri: str) -> bool:
        """Say whether the URI is in this share."""
        return self.count == 1 or zlib.crc32(uri.encode("utf-8", "surrogatepass")) % self.count == self.index
