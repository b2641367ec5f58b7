"""Limit what the embedder's requests may hold."""

from typing import Final

from lookalike._transport.channel import EMBEDDER
from lookalike_serving.parsing import Limits

MAX_ENTRIES: Final = 64
"""A message has at most so many images or answers. More would save little: a message costs little beside its bytes."""

LIMITS: Final = Limits(
    bytes={f"{EMBEDDER}/Embed": None, f"{EMBEDDER}/EmbedStream": None},  # admission limits images
    entries={"lookalike.v1.EmbedStreamRequest.entries": MAX_ENTRIES},
)
