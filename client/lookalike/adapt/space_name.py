"""Name derived spaces by what they are made of."""

import hashlib
from typing import Final

from lookalike.adapt.learning import Projection

_MAX_LENGTH: Final = 128
"""The most characters of a space's name."""


def space_name(source: str, learned: Projection, kind: str) -> str:
    """Return `<source's architecture>-<kind>-<12 hex>`, with a digest of source, projection and neighbours.

    So spaces of equal names are equal.
    """
    parts = [source.encode(), learned.matrix.astype("<f4").tobytes(), learned.centre.astype("<f4").tobytes()]
    parts += [str(learned.neighbours).encode()] if learned.neighbours else []
    ending = f"-{kind}-{hashlib.sha256(b''.join(parts)).hexdigest()[:12]}"
    return source.rpartition("-")[0][: _MAX_LENGTH - len(ending)] + ending if "-" in source else source[:64] + ending
