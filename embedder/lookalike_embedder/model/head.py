"""Compute a descriptor from feature maps."""

import torch
from torch import Tensor
from torch.nn import functional

from lookalike_embedder.rmac import square_regions


def rmac(features: Tensor) -> Tensor:
    """Return R-MAC descriptors [n, channels] of feature maps [n, channels, size, size]; see `rmac.square_regions`.

    The maximum over each region is normalised, the regions are added, and the sum is normalised.
    """
    cells = features.permute(0, 2, 3, 1)  # the order in memory: four times faster than reducing across it
    regions = [
        cells[:, top : top + side, left : left + side].flatten(1, 2).amax(dim=1).float()
        for top, left, side in square_regions(features.shape[-1])
    ]
    total = torch.stack([functional.normalize(region) for region in regions]).sum(dim=0)
    return functional.normalize(total)


def pooled_rmac(features: Tensor) -> Tensor:
    """Return the same descriptors in some dozen operations instead of a hundred: on a GPU, each one is a launch."""
    regions = square_regions(features.shape[-1])
    windows = {side: functional.max_pool2d(features, side, stride=1) for side in {region.side for region in regions}}
    maxima = torch.stack([windows[side][:, :, top, left] for top, left, side in regions]).float()
    return functional.normalize(functional.normalize(maxima, dim=2).sum(dim=0))
