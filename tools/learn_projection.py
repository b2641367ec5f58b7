"""Learn a projection for `lookalike-embedder --projection` from folders of photos.

    python tools/learn_projection.py FOLDER… --out FILE.npz

It needs no labels. Each folder counts alike, however many photos it has. The projection is a principal component
analysis of R-MAC beside two grids, whitened by half. FILE names the folders.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lookalike_embedder import image, weights
from lookalike_embedder.config import Config
from lookalike_embedder.errors import InvalidImage
from lookalike_embedder.image import Limits, Pixels
from lookalike_embedder.model import CpuModel, CudaModel, load
from lookalike_embedder.model.head import Maps, beside_grids, cell_weights, rmac
from lookalike_embedder.projection import Projection, write
from lookalike_embedder.space import DIMENSIONS

Rows = NDArray[np.float16]
_WHITENED: Final = 0.5
"""This power of a component's standard deviation is divided out: 0 is PCA alone, 1 whitens. On four sets, each judged
by what was learned from the others, .5 was best among 0, .25, .5 and .75; see docs/quality.md."""
_MOST: Final = 4096
"""So many photos are learned from at most: the time grows with the third power, and is a minute here."""


def learned(folders: Sequence[Rows]) -> Projection:
    """Return the projection that is learned from what `inputs_of` returns for the photos of some folders.

    Their mean is subtracted to find the components, but not from what is projected: what the photos of another shop
    have in common is another mean, and without it every set measured better; see docs/quality.md.

    Raises:
        ValueError: there are fewer vectors than components.
    """
    rows = np.concatenate(folders).astype(np.float32)
    if len(rows) <= DIMENSIONS:
        raise ValueError(f"photos: more than {DIMENSIONS} are needed, got {len(rows)}")
    shares = np.concatenate([np.full(len(one), 1 / len(one) / len(folders), np.float32) for one in folders])
    mean = shares @ rows
    scaled = (rows - mean) * np.sqrt(shares)[:, None]
    variances, mixtures = (found[..., -DIMENSIONS:][..., ::-1] for found in np.linalg.eigh(scaled @ scaled.T))
    deviations = np.sqrt(np.maximum(variances, variances[0] * 1e-9))
    components = (scaled.T @ mixtures) / deviations  # of length 1
    matrix = (components * (deviations / deviations[0]) ** -_WHITENED).T
    return Projection.of(np.ascontiguousarray(matrix, np.float32))


def maps_of(model: CpuModel | CudaModel, pixels: Pixels) -> Maps:
    """Return the feature maps of one photo that a descriptor is made of, on the CPU."""
    return Maps(*(one.float().cpu() for one in model.maps(model.prepare([pixels]))))


def inputs_of(maps: Maps) -> Rows:
    """Return what is projected of photos, [n, 15872], from their feature maps."""
    return np.asarray(beside_grids(rmac(maps.conv5), maps, cell_weights()).numpy(), np.float16)


def _photos(folder: Path, most: int) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    random.Random(0).shuffle(files)  # noqa: S311 - no secret
    return files[:most]


def _read(folder: Path, most: int, model: CpuModel | CudaModel, limits: Limits) -> Rows:
    """Return the inputs of each photo that can be decoded."""
    found = []
    for path in _photos(folder, most):
        try:
            pixels = image.decode(path.read_bytes(), limits=limits)[1]
        except InvalidImage as error:
            print(f"left out: {path}: {error.message}")
            continue
        found.append(inputs_of(maps_of(model, pixels))[0])
    return np.array(found, np.float16)


def main() -> None:
    """Learn from the folders of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="of photos, with those in folders below")
    parser.add_argument("--out", type=Path, required=True, help="the file to write, .npz")
    parser.add_argument("--most", type=int, default=_MOST, help="most files of a folder")
    options = parser.parse_args()
    config = Config()
    model = load(weights.resolve(None, config.cache_dir).tensors)
    limits = Limits(config.max_image_bytes, config.max_image_pixels)
    most = min(options.most, _MOST // len(options.folders))
    found = {folder: _read(folder, most, model, limits) for folder in options.folders}
    projection = learned([rows for rows in found.values() if len(rows)])
    data = ", ".join(f"{folder.resolve().name} ({len(rows):,})" for folder, rows in found.items())
    write(options.out, projection, data)
    print(f"{options.out}\n  learned from {data}\n  sha256 {projection.sha256}")


if __name__ == "__main__":
    main()
