"""What the embedder's requests may hold."""

from typing import Final

from lookalike._transport.channel import EMBEDDER
from lookalike_serving.parsing import Limits

MAX_ENTRIES: Final = 64
"""The most images in a message, and answers: what a message costs beside its bytes is small by then."""

LIMITS: Final = Limits(
    bytes={f"{EMBEDDER}/Embed": None, f"{EMBEDDER}/EmbedStream": None},  # images; which are too large, admission says
    entries={"lookalike.v1.EmbedStreamRequest.entries": MAX_ENTRIES},
)
