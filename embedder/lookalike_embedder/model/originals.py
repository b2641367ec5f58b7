"""Make the networks of timm and torchvision, and VGG16 as we compute it, to be exported as ONNX files."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from lookalike_embedder.errors import Unsupported
from lookalike_embedder.model.cuda import CudaModel
from lookalike_embedder.preprocessing import VGG16, Preprocessing
from lookalike_embedder.projection import Projection
from lookalike_embedder.space import MEAN, architecture_of
from lookalike_embedder.weights import Weights

INPUT: Final = "pixels"
OUTPUT: Final = "vector"
_OPSET: Final = 18
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class Original:
    """The original is a network that makes vectors of pictures, with what its author says of them.

    Attributes:
        network: takes pictures [n, 3, size, size], scaled by mean and std, and returns vectors [n, d].
        name: of its architecture.
        licence: of its weights, as far as the library says.
        preprocessing: the author's, as we do it.
        mean: of red, green and blue in 0 to 1.
        std: likewise.
        transform: the author's preprocessing of a picture as the library does it, if it has one.
    """

    network: nn.Module
    name: str
    licence: str
    preprocessing: Preprocessing
    mean: tuple[float, ...]
    std: tuple[float, ...]
    transform: Callable[[Image.Image], Tensor] | None = None

    def vectors(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the vectors of scaled pictures [n, 3, size, size]."""
        with torch.inference_mode():
            found: NDArray[np.float32] = self.network(torch.from_numpy(pictures)).numpy()
            return found

    def write(self, file: Path) -> None:
        """Write the network as an ONNX file that takes any number of pictures at once."""
        size = self.preprocessing.size
        for talkative in ("onnx_ir", "onnxscript"):  # hundreds of lines on what they have simplified
            logging.getLogger(talkative).setLevel(logging.WARNING)
        torch.onnx.export(
            self.network,
            (torch.zeros(2, 3, size, size),),
            str(file),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=_OPSET,
            dynamic_shapes=({0: torch.export.Dim("n")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def vgg16(trunk: Weights, projection: Projection | None) -> Original:
    """Return VGG16 with the head of a projection, or with R-MAC, as the embedder computes it without an ONNX file."""
    model = CudaModel(trunk.tensors, "fp32", "cpu", captures=False, projection=projection)

    class Described(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = model._trunk

        def forward(self, pictures: Tensor) -> Tensor:
            return model._head(model._maps(pictures))

    name, deviation = architecture_of(projection), 1 / 255
    return Original(Described().eval(), name, _UNKNOWN, VGG16, MEAN, (deviation,) * 3)


def timm(name: str, *, pretrained: bool) -> Original:
    """Return a network of timm without its classifier. Raises Unsupported."""
    import timm as library

    if name.partition(".")[0] not in library.list_models():
        raise Unsupported(f"source: timm has no model {name!r}")
    network = library.create_model(name, pretrained=pretrained, num_classes=0).eval()
    data: dict[str, Any] = library.data.resolve_model_data_config(network)
    mode = data.get("crop_mode", "center")
    if mode not in ("center", "squash"):
        raise Unsupported(f"source: the pictures of {name} are cropped by the rule {mode!r}, which we do not have")
    preprocessing = Preprocessing(
        data["input_size"][-1],
        float(data["crop_pct"]) if mode == "center" else None,
        bicubic=data["interpolation"] == "bicubic",
    )
    licence = network.pretrained_cfg.get("license") or _UNKNOWN
    transform = library.data.create_transform(**data, is_training=False)
    return Original(network, name, licence, preprocessing, data["mean"], data["std"], transform)


def torchvision(name: str, *, pretrained: bool) -> Original:
    """Return a network of torchvision without the last layer of its classifier. Raises Unsupported."""
    from torchvision import models

    try:
        published = models.get_model_weights(name).DEFAULT
    except ValueError as error:
        raise Unsupported(f"source: torchvision has no model {name!r}") from error
    network = models.get_model(name, weights=published if pretrained else None).eval()
    last = [path for path, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
    network.set_submodule(last, nn.Identity())
    author = published.transforms()
    (crop,), (resize,) = author.crop_size, author.resize_size
    bicubic = author.interpolation.value == "bicubic"
    preprocessing = Preprocessing(crop, crop / resize, bicubic=bicubic)
    return Original(network, name, _UNKNOWN, preprocessing, tuple(author.mean), tuple(author.std), author)


def fill(original: Original, file: Path) -> None:
    """Read the network's weights from a .safetensors file. Raises Unsupported."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if file.suffix != ".safetensors":  # other formats are pickles, which may run any code
        raise Unsupported(f"state: cannot use {file}: it must end in .safetensors")
    try:
        missing = original.network.load_state_dict(load_file(file), strict=False).missing_keys
    except (OSError, SafetensorError, RuntimeError) as error:
        raise Unsupported(f"state: cannot use {file}: {error}") from error
    if missing:
        raise Unsupported(f"state: {file} lacks {len(missing)} tensors of the network, among them {missing[0]}")
