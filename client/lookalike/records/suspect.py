"""Records say here whether a suspicious picture is a copy of a project's photos."""

from dataclasses import dataclass

from lookalike.errors import LookalikeError
from lookalike.records.search import Hit


@dataclass(frozen=True)
class Suspect:
    """A suspect is a picture that was looked for among a project's photos.

    Attributes:
        uri: the picture's.
        copies: the photos that it is a copy of: the same file, or proven by both fingerprints, most similar first.
        unverified: how many of the nearest photos could not be compared: there is no fingerprint, or too little to see.
        picture: a small picture of what is a copy, a WebP of at most 160 pixels a side, to draw proofs on; empty for
            others, and if the embedder makes no fingerprints.
        error: why it could not be looked for; None if it was.
    """

    uri: str
    copies: tuple[Hit, ...] = ()
    unverified: int = 0
    picture: bytes = b""
    error: LookalikeError | None = None
