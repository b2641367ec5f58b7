"""Convolve 3 × 3 with 2.25 times fewer multiplications, by Winograd's F(2 × 2, 3 × 3) and torch's matrix products.

Each tile of 2 × 2 outputs comes from 4 × 4 inputs. Both are transformed by sums alone. Between the transforms are 16
matrix products over the channels, where the direct convolution takes 36. The names are those of Lavin and Gray, "Fast
Algorithms for Convolutional Neural Networks" (2016): Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A.

oneDNN, torch's library for convolutions on CPUs, does not have this for x86 in bf16.
"""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

MIN_CHANNELS: Final = 128
"""With fewer input channels, the sums take longer than they save. From 64 on, the whole trunk took 1.4 times as long
(Zen 4)."""

_G: Final = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]])


def convolution(weight: Tensor, bias: Tensor, dtype: torch.dtype, *, pools: bool) -> Callable[[Tensor], Tensor]:
    """Return a convolution with ReLU over [n, channels, height, width], channels last, of even sides; padded by 1.

    Args:
        weight: [out, in, 3, 3] of float32.
        bias: [out] of float32.
        dtype: the type of inputs and outputs.
        pools: whether to take the greatest of each 2 × 2 outputs, which are one tile, at once.
    """
    filters = torch.einsum("ai,ocij,bj->abco", _G, weight, _G).reshape(16, weight.shape[1], -1).to(dtype)
    offset = bias.to(dtype)
    end = _pooled if pools else _tiled

    def convolve(x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        products = torch.bmm(_transformed(x).view(16, -1, channels), filters)
        products = products.view(4, 4, n, height // 2, width // 2, -1)
        products[1, 1] += offset  # this one of the sixteen enters all four outputs unchanged
        return end(products).permute(0, 3, 1, 2)

    return convolve


def _transformed(x: Tensor) -> Tensor:
    """Return Bᵀ d B of each tile: [4, 4, n, height / 2, width / 2, channels]."""
    n, channels, height, width = x.shape
    padded = functional.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    columns = x.new_empty((4, n, height + 2, width // 2, channels))
    _sums([padded[:, :, j : j + width : 2] for j in range(4)], columns)
    tiles = x.new_empty((4, 4, n, height // 2, width // 2, channels))
    _sums([columns[:, :, i : i + height : 2] for i in range(4)], tiles)
    return tiles


def _sums(d: list[Tensor], out: Tensor) -> None:
    """Write Bᵀ d along the first axis of `out`."""
    torch.sub(d[0], d[2], out=out[0])
    torch.add(d[1], d[2], out=out[1])
    torch.sub(d[2], d[1], out=out[2])
    torch.sub(d[1], d[3], out=out[3])


def _tiled(m: Tensor) -> Tensor:
    """Return the ReLU of Aᵀ m A, tile beside tile: [n, height, width, channels]. `m` is overwritten."""
    _, _, n, rows, columns, channels = m.shape
    outputs = m.new_empty((n, rows, 2, columns, 2, channels))
    for i, row in enumerate(_folded(m)):
        torch.add(row[0].add_(row[1]), row[2], out=outputs[:, :, i, :, 0])
        torch.sub(row[1].sub_(row[2]), row[3], out=outputs[:, :, i, :, 1])
    return outputs.relu_().view(n, 2 * rows, 2 * columns, channels)


def _pooled(m: Tensor) -> Tensor:
    """Return the ReLU of the greatest of Aᵀ m A in each tile: [n, height / 2, width / 2, channels].

    `m` is overwritten.
    """
    first, second = (torch.maximum(*_folded(row)) for row in _folded(m))
    return torch.maximum(first, second).relu_()


def _folded(m: Tensor) -> tuple[Tensor, Tensor]:
    """Return Aᵀ m along the first axis. `m` is overwritten."""
    second = (m[1] - m[2]).sub_(m[3])
    return m[0].add_(m[1]).add_(m[2]), second
