"""The head: from feature maps to a descriptor."""

import torch
from torch import Tensor
from torch.nn import functional

from lookalike_embedder.rmac import square_regions


def rmac(features: Tensor) -> Tensor:
    """R-MAC descriptors [n, channels] of feature maps [n, channels, size, size]; see `rmac.square_regions`.

    The maximum over each region is normalised, the regions are added, and the sum is normalised.
    """
    cells = features.permute(0, 2, 3, 1)  # as they lie in memory: four times faster than reducing across it
    regions = [
        cells[:, top : top + side, left : left + side].flatten(1, 2).amax(dim=1).float()
        for top, left, side in square_regions(features.shape[-1])
    ]
    total = torch.stack([functional.normalize(region) for region in regions]).sum(dim=0)
    return functional.normalize(total)
