"""Find photos for the demonstration: those that scikit-image and scikit-learn ship, or a folder of the user."""

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
"""For each package, a folder in it and the photos there; drawings and test patterns are left out."""


def shipped_photos() -> list[Path]:
    """Return the photos that come with the extra `demo`, as far as they are installed."""
    paths = []
    for package, (folder, names) in _SHIPPED.items():
        spec = importlib.util.find_spec(package)
        for root in spec.submodule_search_locations or () if spec else ():
            paths += [path for name in names.split() if (path := Path(root, folder, name)).exists()]
    return paths


def photos_in(folder: Path, limit: int) -> list[Path]:
    """Return at most `limit` of the folder's image files, spread evenly over it."""
    paths = [Path(path) for path in image_files(folder, _raise)]
    step = max(1, len(paths) / limit)
    return [paths[int(position * step)] for position in range(min(limit, len(paths)))]


def _raise(error: OSError) -> None:
    raise error
