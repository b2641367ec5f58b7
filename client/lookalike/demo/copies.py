"""Write altered copies of photos, as people make them who reuse somebody else's photo."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lookalike.evaluation import alterations
from lookalike.evaluation.alterations import Alteration

ALTERATIONS: Final[Mapping[str, Alteration]] = {
    "crop": alterations.ALTERATIONS["crop-5"],
    "recompress": alterations.ALTERATIONS["jpeg-30"],
    "resize": alterations.ALTERATIONS["resize-50"],
    "recolour": alterations.ALTERATIONS["recolour"],
    "mirror": alterations.ALTERATIONS["mirror"],
    "border": alterations.ALTERATIONS["border-2"],
}
"""The standard alterations that the demonstration uses, by their names in it."""


def make_copies(photo: Path, folder: Path) -> dict[str, Path]:
    """Write an altered copy of the photo for each alteration, and return their paths by the alteration's name."""
    upright = alterations.upright(photo.read_bytes())
    folder.mkdir(parents=True, exist_ok=True)
    copies = {}
    for name, alter in ALTERATIONS.items():
        copies[name] = folder / f"{name}.jpg"
        copies[name].write_bytes(alterations.saved(alter(upright)))
    return copies
