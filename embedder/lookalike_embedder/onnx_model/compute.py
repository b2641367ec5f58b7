"""Compute vectors with ONNX Runtime."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from lookalike_embedder.autotuning import Trials
from lookalike_embedder.errors import DeviceLost, OutOfMemory
from lookalike_embedder.image import Pixels
from lookalike_embedder.job import Lane
from lookalike_embedder.onnx_model import contents, settings
from lookalike_embedder.onnx_model.contents import Contents
from lookalike_embedder.onnx_model.sessions import is_out_of_memory, open_sessions
from lookalike_embedder.onnx_model.settings import Settings
from lookalike_embedder.onnx_model.signature import Signature, check
from lookalike_embedder.space import Identity, onnx

Pool = Callable[[NDArray[np.float32]], NDArray[np.float32]]
_POOLS: Final[Mapping[str, Pool]] = {
    "none": lambda output: output,
    "first": lambda output: output[:, 0],
    "mean": lambda output: output.mean(axis=1 if output.ndim == 3 else (2, 3)),
    "max": lambda output: output.max(axis=1 if output.ndim == 3 else (2, 3)),
}
"""Makes vectors [n, d] of tokens [n, tokens, d] or of feature maps [n, d, height, width]."""


class OnnxModel:
    """The model computes with ONNX Runtime; see `loading.Model`.

    On a CPU, an interactive call uses all cores, and bulk calls use one each. Bulk work pauses before a batch alone: a
    run of ONNX Runtime cannot be held between two layers.

    Args:
        sessions: a session for each lane.
        device: where they compute.
        said: what the TOML says.
        signature: what the ONNX file says of its input.
        has: what the ONNX file has in it.
    """

    trials: Trials = ()

    def __init__(
        self,
        sessions: Mapping[Lane, InferenceSession],
        device: str,
        said: Settings,
        signature: Signature,
        has: Contents,
    ) -> None:
        self.device, self.precision = device, has.precision
        self.preprocessing = said.preprocessing
        self.largest_batch = min(said.max_batch_size, signature.largest_batch)
        self.said, self._has = said, has
        self._sessions, self._type = sessions, signature.type
        self._pool = _POOLS[said.pooling]
        deviation = np.array(said.std, np.float32)
        self._scale = 1 / (255 * deviation)
        self._offset = -np.array(said.mean, np.float32) / deviation
        self._order = [0, 1, 2] if said.channels == "rgb" else [2, 1, 0]

    def identity(self, dimensions: int, text: str = "") -> Identity:
        """Return what is the same on every machine, for vectors of so many dimensions, and with this text encoder."""
        recipe = "|".join((self.said.recipe, text)) if text else self.said.recipe
        return onnx(self.said.name, self._has.sha256, recipe, dimensions)

    def __call__(
        self, pixels: Sequence[Pixels], lane: Lane = Lane.INTERACTIVE, pause: Callable[[], None] = lambda: None
    ) -> NDArray[np.float32]:
        """Return vectors [n, dimensions], each of length 1, from n times pixels [size, size, 3]."""
        step = self.largest_batch
        vectors = []
        for start in range(0, len(pixels), step):
            pause()
            vectors.append(self._vectors(pixels[start : start + step], lane))
        return np.concatenate(vectors)

    def warm(self, limit: int, bulk_workers: int) -> int:
        """Compute a batch of `limit` images on a GPU, or of half as many until there is memory; see `loading.Model`."""
        size = self.preprocessing.size
        while self.device != "cpu":
            try:
                self._vectors([np.zeros((size, size, 3), np.uint8)] * limit, Lane.BULK)
                break
            except OutOfMemory:
                if limit == 1:
                    raise
                limit //= 2
        return limit

    def jpegs(self, threads: int) -> None:
        """Return None: Pillow decodes all JPEGs."""

    def input(self, pixels: Sequence[Pixels]) -> NDArray[np.float32]:
        """Return what the model takes, [n, 3, size, size], from n times pixels [size, size, 3]."""
        batch = np.empty((len(pixels), 3, *pixels[0].shape[:2]), np.float32)
        for place, image in zip(batch, pixels, strict=True):
            for position, channel in enumerate(self._order):
                np.multiply(image[:, :, channel], self._scale[channel], out=place[position])
                place[position] += self._offset[channel]
        return batch.astype(self._type, copy=False)

    def output(self, pixels: Sequence[Pixels], lane: Lane = Lane.INTERACTIVE) -> NDArray[np.float32]:
        """Return what the model answers, before pooling.

        Raises:
            OutOfMemory: there is not enough memory for so many images.
            DeviceLost: the GPU does not compute a single image any more.
        """
        try:
            return self._run(pixels, lane)
        except Exception as error:  # each of ONNX Runtime's errors derives from Exception alone
            if is_out_of_memory(error):
                raise OutOfMemory from error
            if self.device != "cpu" and self._is_lost():
                raise DeviceLost from error
            raise

    def _run(self, pixels: Sequence[Pixels], lane: Lane) -> NDArray[np.float32]:
        feed = {self.said.input_name: self.input(pixels)}
        (output,) = self._sessions[lane].run([self.said.output_name], feed)
        return np.asarray(output, np.float32)

    def _vectors(self, pixels: Sequence[Pixels], lane: Lane) -> NDArray[np.float32]:
        vectors = self._pool(self.output(pixels, lane))
        return normalised(vectors, self.said)

    def _is_lost(self) -> bool:
        size = self.preprocessing.size
        try:
            self._run([np.zeros((size, size, 3), np.uint8)], Lane.INTERACTIVE)
        except Exception:
            return True
        return False


def normalised(vectors: NDArray[np.float32], said: Settings) -> NDArray[np.float32]:
    """Return the vectors of images or of texts as the TOML says: both alike."""
    if said.normalisation == "l2":
        with np.errstate(invalid="ignore"):  # of a vector without length: what is no number fails alone
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors, np.float32)


def load(file: Path, device: str = "auto") -> OnnxModel:
    """Return the model of an ONNX file, with the TOML of the same name beside it.

    Raises:
        InvalidModel: one of the two is wrong, or they do not agree.
        Unsupported: ONNX Runtime does not compute on that device here.
    """
    said = settings.read(file.with_suffix(".toml"))
    has = contents.read(file)
    sessions, used = open_sessions(file, device)
    return OnnxModel(sessions, used, said, check(file, sessions[Lane.BULK], said), has)
