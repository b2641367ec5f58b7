"""What the conductor tells the load generator: a JSON object on its command line."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

PROJECT = "soak"


@dataclass(frozen=True)
class Plan:
    """A run of the generator.

    Attributes:
        embedder, searcher: addresses.
        gateway: the gateway's base URL.
        space: of vectors.
        images: how many of the catalogue there are, by number; nobody deletes these.
        queries: file of the vectors that are searched for, as numpy saves arrays.
        photos: folder of the photos that are searched for.
        seconds: how long calls begin.
        pace: times each call's rate.
        ledger: file for what became of each call.
    """

    embedder: str
    searcher: str
    gateway: str
    space: str
    images: int
    queries: str
    photos: str
    seconds: float
    pace: float
    ledger: str

    def written(self) -> str:
        """As it is handed over."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Self:
        """As it was."""
        return cls(**json.loads(text))

    def photo_files(self) -> list[bytes]:
        """The photos, in order."""
        return [path.read_bytes() for path in sorted(Path(self.photos).iterdir())]
