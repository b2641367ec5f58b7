"""Real photos to show with: those that scikit-image and scikit-learn ship, or a folder of the user's own."""

import importlib.util
from pathlib import Path
from typing import Final

from lookalike.sources.folder import image_files

_SHIPPED: Final = {
    "skimage": (
        "data",
        "astronaut.png brick.png camera.png cell.png chelsea.png clock_motion.png coffee.png coins.png grass.png"
        " gravel.png hubble_deep_field.jpg ihc.png moon.png motorcycle_left.png page.png retina.jpg rocket.jpg",
    ),
    "sklearn": ("datasets/images", "china.jpg flower.jpg"),
}
"""Package, folder in it, and the photos there; drawings and test patterns are left out."""


def shipped_photos() -> list[Path]:
    """The photos that come with the demo extra, as far as they are installed."""
    found = []
    for package, (folder, names) in _SHIPPED.items():
        spec = importlib.util.find_spec(package)
        for root in spec.submodule_search_locations or () if spec else ():
            found += [path for name in names.split() if (path := Path(root, folder, name)).exists()]
    return found


def photos_in(folder: Path, most: int) -> list[Path]:
    """At most `most` of the folder's image files, spread evenly over it."""
    paths = [Path(path) for path in image_files(folder, _raise)]
    step = max(1, len(paths) / most)
    return [paths[int(position * step)] for position in range(min(most, len(paths)))]


def _raise(error: OSError) -> None:
    raise error
