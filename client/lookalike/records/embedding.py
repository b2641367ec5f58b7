"""These records say what the embedder makes of a picture, and by which model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fingerprint:
    """A fingerprint shows what a picture looks like, in some kilobytes: two of them prove a copy.

    Attributes:
        version: how it was made; only fingerprints of one version can be compared.
        picture: a small picture: a WebP of at most 160 pixels a side.
        keypoints: the keypoints on it, packed.
    """

    version: str
    picture: bytes
    keypoints: bytes


@dataclass(frozen=True)
class Embedding:
    """An embedding is a vector of length 1 with the space in which it may be compared.

    Attributes:
        space: the space.
        values: the vector.
        featureless: whether the picture shows nothing but one colour, so that likeness to it means
            nothing.
        fingerprint: the picture's fingerprint, if it was asked for.
        views: the vectors of views of the picture, if they were asked for.
    """

    space: str
    values: tuple[float, ...]
    featureless: bool = False
    fingerprint: Fingerprint | None = None
    views: "tuple[Embedding, ...]" = ()


@dataclass(frozen=True)
class TextEncoder:
    """A model's text encoder accepts texts of so many characters, and of so many tokens of its own."""

    max_characters: int
    max_tokens: int


@dataclass(frozen=True)
class Model:
    """An embedder runs this model; sizes are in bytes and pixels. Without a text encoder, it embeds images alone."""

    space: str
    dimensions: int
    architecture: str
    weights_sha256: str
    device: str
    precision: str
    max_batch_size: int
    max_image_bytes: int
    max_image_pixels: int
    formats: tuple[str, ...]
    text_encoder: TextEncoder | None = None
    trials: tuple["Trial", ...] = ()
    """What was measured on the embedder's processor to choose how to compute."""


@dataclass(frozen=True)
class Trial:
    """A way to compute was measured.

    Attributes:
        way: a precision, for example `bf16`, or one of its ways: `bf16-winograd`.
        seconds: the processor time of an image on one core.
        cosine: the lowest cosine of a vector to that of fp32.
        chosen: whether the embedder computes in this way.
    """

    way: str
    seconds: float
    cosine: float
    chosen: bool
