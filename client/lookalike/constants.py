"""Every process must agree on these: ports, message limits, keepalive, the error domain, what a near duplicate is."""

from typing import Final

EMBEDDER_PORT: Final = 50051
SEARCHER_PORT: Final = 50052

ERROR_DOMAIN: Final = "lookalike"
"""`google.rpc.ErrorInfo.domain` of every error of ours."""

READ: Final = "read"
WRITE: Final = "write"
ADMIN: Final = "admin"
SCOPES: Final = frozenset({READ, WRITE, ADMIN})
"""What a token may allow; none of them includes another."""

AUDIENCE: Final = "lookalike"
"""What tokens are made for, unless it is set otherwise."""

DEFAULT_DIMENSIONS: Final = 512
"""The dimensions of the default model's vectors, VGG16's: a space has them if whoever creates it does not say."""

NEAR_DUPLICATE: Final = 0.95
"""The least similarity of a near duplicate.

Measured with vgg16-layout512 on 80 photos of clothing and groceries in 24 ways: recompression (quality 30), halving the
size, a crop of 5 % and a turn of 2 degrees leave 98 % of the copies or more at or above it, a mirror image 45 to 83 %,
a 10 % crop or a 6 % border 0 to 38 %. No two photos of different things reached it; of groceries that are shot one
after another, 1.5 % of the pairs did.
"""

MAX_IMAGE_BYTES: Final = 16 * 1024 * 1024
"""The largest image file that travels, unless the embedder is told otherwise (gRPC's own default of 4 MiB is less than
many a camera's photo)."""

MAX_TEXT_CHARACTERS: Final = 1000
"""The longest text that is embedded, in code points. Text encoders of today read 64 or 77 tokens, which is less; this
bounds what a tokenizer is given."""

MESSAGE_OVERHEAD_BYTES: Final = 64 * 1024
"""What a message may hold beside the image."""

MAX_MESSAGE_BYTES: Final = MAX_IMAGE_BYTES + MESSAGE_OVERHEAD_BYTES
"""The largest message that a client sends."""

ENTRIES_METADATA: Final = "lookalike-entries"
"""In the initial metadata of an `EmbedStream`: how many images its server takes in one message."""

STREAM_GRACE_SECONDS: Final = 30.0
"""How long a stream that ends by itself may take to answer what it has read."""

MAX_LABELS: Final = 64
"""A reference has at most so many labels."""
MAX_LABEL_NAME_BYTES: Final = 64
MAX_LABEL_VALUE_BYTES: Final = 256

ChannelOptions = list[tuple[str, int | str]]


def message_limits(max_image_bytes: int = MAX_IMAGE_BYTES) -> ChannelOptions:
    """Return server options that let in messages with an image of `max_image_bytes`."""
    return [("grpc.max_receive_message_length", max_image_bytes + MESSAGE_OVERHEAD_BYTES)]


def connection_age(seconds: float) -> ChannelOptions:
    """Return server options that close a connection after so long, so that its client looks up the addresses again.

    Streams end themselves before; those that were opened late have as long again, and time for what they still answer.
    """
    grace = seconds + STREAM_GRACE_SECONDS
    return [
        ("grpc.max_connection_age_ms", int(seconds * 1000)),
        ("grpc.max_connection_age_grace_ms", int(grace * 1000)),
    ]


# Client and server must agree on pings, or the server drops the connection as abusive (ENHANCE_YOUR_CALM).
CLIENT_KEEPALIVE: Final[ChannelOptions] = [
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
]
SERVER_KEEPALIVE: Final[ChannelOptions] = [
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
]
