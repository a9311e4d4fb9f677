"""Evidence for the wavelet mixer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.wavelet import WaveMix, haar, inverse_haar
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import gelu, mix


def haar_matrix(side: int) -> Tensor:
    """Orthonormal ``(side, side)``: the first half of the rows are means of pairs, the others differences."""
    matrix = torch.zeros(side, side, dtype=torch.float64)
    for i in range(side // 2):
        matrix[i, 2 * i : 2 * i + 2] = 0.5**0.5
        matrix[side // 2 + i, 2 * i] = 0.5**0.5
        matrix[side // 2 + i, 2 * i + 1] = -(0.5**0.5)
    return matrix


@reference("wavemix")
def wavemix(op: Any, x: Tensor) -> Tensor:
    """The transform as a matrix on either side, and the transposed convolution as a sum of stamps."""
    height, width = x.shape[2:]
    rows, columns = -(-height // 2), -(-width // 2)
    image = torch.zeros(x.shape[0], op.down.out_channels, 2 * rows, 2 * columns, dtype=x.dtype)
    image[:, :, :height, :width] = mix(x, op.down)
    whole = haar_matrix(2 * rows) @ image @ haar_matrix(2 * columns).T
    quarters = [whole[:, :, i : i + rows, j : j + columns] for i in (0, rows) for j in (0, columns)]
    bands = mix(gelu(mix(torch.cat(quarters, 1), op.first)), op.second)
    stamped = torch.zeros(x.shape[0], op.up.out_channels, 2 * rows + 2, 2 * columns + 2, dtype=x.dtype)
    for i in range(rows):
        for j in range(columns):
            stamp = (bands[:, :, i, j] @ op.up.weight.flatten(1)).unflatten(1, (-1, 4, 4))
            stamped[:, :, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += stamp
    return stamped[:, :, 1 : 1 + height, 1 : 1 + width] + op.up.bias[:, None, None]


@degenerate("wavemix", "inverse transform of the transform: the image")
def inverse() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 10, 6, dtype=torch.float64)
    return inverse_haar(haar(x)), x


@degenerate("wavemix", "channel maps without effect, the inverse transform as up-sampling: the identity")
def perfect_reconstruction() -> tuple[Tensor, Tensor]:
    """GELU is linear far from zero: shifted by 100 there and back, the channel map passes its input on."""
    torch.manual_seed(0)
    op = WaveMix(dim=4, inner=4, expansion=1).double()
    for conv in (op.down, op.first, op.second):
        conv.weight.copy_(torch.eye(conv.in_channels, dtype=torch.float64)[:, :, None, None])
        conv.bias.zero_()  # type: ignore[union-attr]
    op.first.bias.fill_(100.0)  # type: ignore[union-attr]
    op.second.bias.fill_(-100.0)  # type: ignore[union-attr]
    op.up.weight.zero_()
    op.up.bias.zero_()  # type: ignore[union-attr]
    for band in range(4):
        for channel in range(4):
            one = torch.zeros(1, 16, 1, 1, dtype=torch.float64)
            one[0, 4 * band + channel] = 1
            op.up.weight[4 * band + channel, :, 1:3, 1:3] = inverse_haar(one)[0]
    x = torch.randn(2, 4, 9, 6, dtype=torch.float64)
    return op(x), x
