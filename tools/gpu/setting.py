"""What all parts share. Each runs in a process of its own, forked from one that never touched the GPU."""

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
    """A run of the check.

    Attributes:
        root: the checkout.
        device: `cuda` or `cpu`.
        short: as little as shows that each part runs.
        precision: in which speed is measured; `auto` is what the embedder would choose.
        trunk: the weights.
        jpegs: photos, as files.
        scratch: a folder for whatever.
        lacking: what no wheel brought, by level; see `needs`.
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
        """How long one thing is measured."""
        return 0.2 if self.short else 3.0

    @cached_property
    def pixels(self) -> "list[NDArray[np.uint8]]":
        """The photos, decoded."""
        from lookalike_embedder import image

        return [image.decode(data, limits=self.limits)[1] for data in self.jpegs]

    @property
    def limits(self) -> Any:  # noqa: ANN401 - the type is imported late
        """What is admitted."""
        from lookalike_embedder.image import Limits

        return Limits(max_bytes=16 * 1024 * 1024, max_pixels=64_000_000)

    def model(self, precision: str | None = None, *, captures: bool = True) -> Any:  # noqa: ANN401 - as above
        """The GPU's model; on a CPU the same, without streams and graphs."""
        from lookalike_embedder.model import CudaModel

        return CudaModel(self.trunk.tensors, precision or self.chosen_precision, self.device, captures=captures)

    @cached_property
    def chosen_precision(self) -> str:
        """As the embedder chooses."""
        from lookalike_embedder.model import hardware

        return hardware.choose_precision(self.precision, self.device)
