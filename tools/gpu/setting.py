"""Share a setting among all parts. Each part runs in its own process, forked from one that never used the GPU."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tools.gpu.weights import Trunk


@dataclass(frozen=True)
class Setting:
    """The setting describes one run of the check.

    Attributes:
        root: the checkout.
        device: `cuda` or `cpu`.
        short: whether to do no more than shows that each part runs.
        precision: the precision in which speed is measured; `auto` is the embedder's choice.
        trunk: the weights.
        jpegs: photos, as files.
        scratch: a folder for temporary files.
        lacking: the packages that are missing, by level; see `needs`.
    """

    root: Path
    device: str
    short: bool
    precision: str
    trunk: "Trunk"
    jpegs: list[bytes]
    scratch: Path
    lacking: dict[str, list[str]]

    @property
    def seconds(self) -> float:
        """Return how many seconds one thing is measured."""
        return 0.2 if self.short else 3.0

    @cached_property
    def pixels(self) -> "list[NDArray[np.uint8]]":
        """Return the pixels of the decoded photos."""
        from lookalike_embedder import image

        return [image.decode(data, limits=self.limits)[1] for data in self.jpegs]

    @property
    def limits(self) -> Any:  # noqa: ANN401 - the type is imported late
        """Return the limits of admission for photos."""
        from lookalike_embedder.image import Limits

        return Limits(max_bytes=16 * 1024 * 1024, max_pixels=64_000_000)

    def model(self, precision: str | None = None, *, captures: bool = True) -> Any:  # noqa: ANN401 - as above
        """Return the GPU's model; on a CPU the same model without streams and graphs."""
        from lookalike_embedder.model import CudaModel
        from lookalike_embedder.projection import shipped

        chosen = precision or self.chosen_precision
        return CudaModel(self.trunk.tensors, chosen, self.device, captures=captures, projection=shipped())

    @cached_property
    def chosen_precision(self) -> str:
        """Return the precision that the embedder would choose on a GPU; on a CPU, where speed means nothing, fp32."""
        from lookalike_embedder.model import hardware

        chosen = hardware.choose_precision(self.precision, self.device)
        return "fp32" if chosen == "auto" else chosen
