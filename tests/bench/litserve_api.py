"""The same service with LitServe: as its documentation writes one, and as somebody would who knows our model.

A program of its own: `python -m tests.bench.litserve_api default|tuned --port PORT …`. Images come as base64 in JSON,
as in LitServe's own examples with images, and vectors go as JSON.
"""

import argparse
import base64
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import litserve
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional
from torchvision.models import VGG16_Weights, vgg16

from lookalike_embedder import image, model, projection, weights
from lookalike_embedder.image import Pixels
from lookalike_embedder.job import Lane
from lookalike_embedder.processor import CORES
from tests.bench.setting import CACHE_DIR, LIMITS, trunk


class DefaultAPI(litserve.LitAPI):  # type: ignore[misc] # LitServe has no types
    """torchvision's model in fp32 with its own preprocessing, and the simplest pooled descriptor."""

    def setup(self, device: str) -> None:
        self.model = vgg16(weights=None).features
        state = {name.removeprefix("features."): torch.from_numpy(value) for name, value in trunk().tensors.items()}
        self.model.load_state_dict(state)
        self.model = self.model.eval().to(device)
        self.transform = VGG16_Weights.IMAGENET1K_FEATURES.transforms()

    def decode_request(self, request: dict[str, str]) -> torch.Tensor:
        photo = Image.open(io.BytesIO(base64.b64decode(request["image"]))).convert("RGB")
        tensor: torch.Tensor = self.transform(photo)
        return tensor.to(self.device)

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return functional.normalize(self.model(x[None]).amax(dim=(2, 3)))[0]

    def encode_response(self, output: torch.Tensor) -> dict[str, list[float]]:
        return {"output": output.tolist()}


class TunedAPI(litserve.LitAPI):  # type: ignore[misc] # LitServe has no types
    """Our decoding and our model, in batches or not; a batch is decoded by threads."""

    def __init__(self, precision: str, lane: Lane, source: Path | None, sha256: str, **options: Any) -> None:  # noqa: ANN401 - LitServe's
        super().__init__(**options)
        self.precision, self.lane, self.source, self.sha256 = precision, lane, source, sha256

    def setup(self, device: str) -> None:
        found = weights.resolve(self.source, CACHE_DIR, self.sha256)
        self.model = model.load(
            found.tensors, device=device.split(":")[0], precision=self.precision, projection=projection.shipped()
        )
        self.pool = ThreadPoolExecutor(CORES)
        self.model([np.zeros((image.SIZE, image.SIZE, 3), np.uint8)], self.lane)

    def decode_request(self, request: dict[str, str]) -> str:
        return request["image"]

    def predict(self, x: str | Sequence[str]) -> NDArray[np.float32]:
        if isinstance(x, str):
            vector: NDArray[np.float32] = self._vectors([_decoded(x)])[0]
            return vector
        return self._vectors(list(self.pool.map(_decoded, x)))

    def encode_response(self, output: NDArray[np.float32]) -> dict[str, list[float]]:
        return {"output": output.tolist()}

    def _vectors(self, pixels: Sequence[Pixels]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self.model(pixels, self.lane)
        return vectors


def _decoded(encoded: str) -> Pixels:
    return image.decode(base64.b64decode(encoded), limits=LIMITS)[1]


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("api", choices=("default", "tuned"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--lane", type=Lane, default=Lane.INTERACTIVE, help="bulk: a core each; interactive: all cores")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--weights", type=Path, help="of the tuned one, as the embedder's")
    parser.add_argument("--weights-sha256", default=weights.PUBLISHED_SHA256)
    options = parser.parse_args()
    if options.api == "default":
        server = litserve.LitServer(DefaultAPI())
    else:
        timeout = 0.05 if options.batch > 1 else 0.0
        source = (options.weights, options.weights_sha256)
        api = TunedAPI(options.precision, options.lane, *source, max_batch_size=options.batch, batch_timeout=timeout)
        server = litserve.LitServer(api, workers_per_device=options.workers)
    server.run(host="127.0.0.1", port=options.port, log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
