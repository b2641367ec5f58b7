"""Every setting of the embedder is here, with its flag, environment variable, range and help."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from lookalike.constants import EMBEDDER_PORT, MAX_IMAGE_BYTES
from lookalike_embedder.processor import CORES
from lookalike_embedder.weights import PUBLISHED_SHA256
from lookalike_serving.options import Option
from lookalike_serving.settings import GrpcSettings, Port, ProbeInterval

Device = Literal["auto", "cpu", "cuda", "openvino"]
Descriptor = Literal["layout", "rmac"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]


def _cache_dir() -> Path:
    import platformdirs  # the GPU check does without it

    return platformdirs.user_cache_path("lookalike")


@dataclass(frozen=True, kw_only=True)
class Config(GrpcSettings):
    """The embedder reads these settings. Times are in seconds."""

    METRICS_PORT: ClassVar[int] = 9464
    """OpenTelemetry's Prometheus exporters use this port by default."""

    cache_dir: Annotated[Path, Option("Folder that keeps downloaded weights.", shared=True)] = field(
        default_factory=_cache_dir
    )
    port: Port = EMBEDDER_PORT
    probe_interval: ProbeInterval = 10.0
    weights: Annotated[Path | None, Option("VGG16 weights, .safetensors; nothing else is tried.")] = None
    weights_sha256: Annotated[str, Option("The digest that the weights' tensors must have.")] = PUBLISHED_SHA256
    descriptor: Annotated[
        Descriptor,
        Option("What a vector holds; each is an embedding space of its own. rmac forgets where things are."),
    ] = "layout"
    projection: Annotated[Path | None, Option("A projection of your own for layout, .npz; a space of its own.")] = None
    model: Annotated[Path | None, Option("An ONNX model instead of VGG16, with its TOML beside it.")] = None
    device: Annotated[Device, Option("Where to compute; openvino is a CPU, for --model.")] = "auto"
    precision: Annotated[
        Precision,
        Option("How to compute; int8 is for CPUs and an embedding space of its own."),
    ] = "auto"
    workers: Annotated[
        int,
        Option("Bulk batches computed at once; 0: 2 on a GPU, one per CPU core.", min=0),
    ] = 0
    max_batch_size: Annotated[int, Option("Most images per batch; 0 measures the best at start.", min=0)] = 0
    max_waiting: Annotated[int, Option("Most Embed and EmbedText calls in flight; more are refused.", min=1)] = 256
    max_streams: Annotated[int, Option("Most EmbedStream calls in flight; more are refused.", min=1)] = 64
    max_in_flight_bytes: Annotated[
        int,
        Option("Bytes of image files in flight; a quarter is kept for Embed.", min=1),
    ] = 512 * 1024 * 1024
    max_decoding_pixels: Annotated[
        int,
        Option("Pixels of 8-bit RGB decoded at once, over all threads.", min=1),
    ] = 128_000_000
    decode_threads: Annotated[int, Option("Threads that decode images.", min=1)] = CORES
    cache_size: Annotated[
        int, Option("Answers kept, some 3 KiB each, 11 KiB with fingerprints; 0 keeps none.", min=0)
    ] = 16_384
    no_fingerprints: Annotated[bool, Option("Make no fingerprints, though they are asked for.")] = False
    max_image_bytes: Annotated[int, Option("Largest image file, in bytes.", min=1)] = MAX_IMAGE_BYTES
    max_image_pixels: Annotated[int, Option("Largest image, in pixels (width times height).", min=1)] = 64_000_000
    max_connection_age: Annotated[
        float,
        Option("Seconds until a connection is renewed; streams end before.", min=1),
    ] = 300.0

    @property
    def max_stream_age(self) -> float:
        """Return the seconds after which a stream ends by itself, well before its connection is closed."""
        return 0.8 * self.max_connection_age

    def workers_on(self, device: str) -> int:
        """Return how many bulk batches are computed at once.

        Left out, that is one per core, or two on a GPU, where one is copied meanwhile.
        """
        return self.workers or (2 if device == "cuda" else CORES)
