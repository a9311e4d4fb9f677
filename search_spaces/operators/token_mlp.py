"""Token-mixing MLPs over the whole image, with weights that are interpolated to other resolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.errors import SpaceError
from search_spaces.operators.base import Operator
from search_spaces.operators.legal import positive
from search_spaces.operators.registry import register
from search_spaces.operators.transforms import resize_last, resize_table, resize_table_work, sides


@register
class MixerMLP(Operator):
    """The token mixer of MLP-Mixer (Tolstikhin et al., arXiv 2105.01601): linear over all tokens, GELU, linear back, the same
    for every channel.

    The weights are images of ``grid`` x ``grid``, one in and one out for every hidden unit; for other resolutions they are
    interpolated bilinearly, and those in are rescaled so that sums over tokens do not grow.

    Args:
        dim: channels in and out (no parameter depends on it).
        hidden: hidden units.
        grid: side of the image whose weights are stored.
    """

    name, role, family = "mixer_mlp", "mixer", "mlp"
    elastic = {"hidden": (16, 32, 64), "grid": (8,)}
    layout = {"up": "hidden grid grid", "up_bias": "hidden", "down": "hidden grid grid", "down_bias": "1 grid grid"}

    def __init__(self, dim: int, hidden: int, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.up = nn.Parameter(torch.empty(hidden, grid, grid).uniform_(-1 / grid, 1 / grid))
        self.up_bias = nn.Parameter(torch.zeros(hidden))
        self.down = nn.Parameter(torch.empty(hidden, grid, grid).uniform_(-(hidden**-0.5), hidden**-0.5))
        self.down_bias = nn.Parameter(torch.zeros(1, grid, grid))

    def forward(self, x: Tensor) -> Tensor:
        height, width = sides(x)
        share = self.grid**2 / (height * width)
        up, down = (resize_table(table, height, width).flatten(1) for table in (self.up, self.down))
        bias = resize_table(self.down_bias, height, width).flatten(1)
        hidden = F.gelu(x.flatten(2) @ (up * share).transpose(0, 1) + self.up_bias)
        return (hidden @ down + bias).unflatten(2, (height, width))

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, hidden=sizes["hidden"], grid=sizes["grid"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, hidden = height * width, sizes["dim"], sizes["hidden"]
        macs, writes = resize_table_work(sizes["grid"], height, width)
        tables = 2 * hidden + 1
        return 2 * dim * tokens * hidden + tables * macs, dim * (hidden + tokens) + tables * writes


@register
class ResMLP(Operator):
    """The token mixer of ResMLP (Touvron et al., arXiv 2105.03404): one linear map over all tokens, the same for every
    channel. The weights are stored for an image of ``grid`` x ``grid`` and interpolated bilinearly to other resolutions, both
    where they read and where they write.

    Args:
        dim: channels in and out (no parameter depends on it).
        grid: side of the image whose weights are stored.
    """

    name, role, family = "res_mlp", "mixer", "mlp"
    elastic = {"grid": (8,)}
    layout = {"tokens": "(grid grid) grid grid", "bias": "1 grid grid"}

    def __init__(self, dim: int, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.tokens = nn.Parameter(torch.empty(grid * grid, grid, grid).uniform_(-1 / grid, 1 / grid))  # written, read
        self.bias = nn.Parameter(torch.zeros(1, grid, grid))

    def forward(self, x: Tensor) -> Tensor:
        height, width = sides(x)
        reading = resize_table(self.tokens, height, width).flatten(1) * (self.grid**2 / (height * width))
        weight = resize_table(reading.transpose(0, 1).unflatten(1, (self.grid, self.grid)), height, width)
        mixed = x.flatten(2) @ weight.flatten(1) + resize_table(self.bias, height, width).flatten(1)
        return mixed.unflatten(2, (height, width))

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, grid=sizes["grid"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim = height * width, sizes["dim"]
        macs, writes = resize_table_work(sizes["grid"], height, width)
        tables = sizes["grid"] ** 2 + tokens + 1
        return dim * tokens * tokens + tables * macs, dim * tokens + tables * writes


class _AxisMLP(nn.Module):
    """Two-layer MLP over ``raft`` groups of channels and one axis of the image together: ``(..., raft, L)`` -> the same."""

    def __init__(self, raft: int, grid: int, hidden: int) -> None:
        super().__init__()
        self.grid = grid
        fan_in = (raft * grid) ** -0.5
        self.up = nn.Parameter(torch.empty(hidden, raft, grid).uniform_(-fan_in, fan_in))
        self.up_bias = nn.Parameter(torch.zeros(hidden))
        self.down = nn.Parameter(torch.empty(hidden, raft, grid).uniform_(-(hidden**-0.5), hidden**-0.5))
        self.down_bias = nn.Parameter(torch.zeros(raft, grid))

    def forward(self, x: Tensor) -> Tensor:
        length = sides(x)[1]
        up = resize_last(self.up, length).flatten(1) * (self.grid / length)
        down = resize_last(self.down, length).flatten(1)
        hidden = F.gelu(x.flatten(-2) @ up.transpose(0, 1) + self.up_bias)
        return (hidden @ down).unflatten(-1, x.shape[-2:]) + resize_last(self.down_bias, length)


@register
class RaftMLP(Operator):
    """RaftMLP (Tatsunami & Taki, arXiv 2108.04384): a token-mixing MLP along the columns of the image, then one along its rows.
    Channels stand in ``raft`` groups; those of one place in all groups are mixed together with the tokens.

    The second MLP sees the sum of the input and the first one's output, as in the paper's two residual blocks. Weights are
    stored for ``grid`` tokens and interpolated linearly to other lengths.

    Args:
        dim: channels in and out, a multiple of ``raft`` (no parameter depends on it).
        raft: groups of channels; 1 is plain mixing along an axis.
        expansion: hidden units over ``raft * grid``.
        grid: length for which the weights are stored.
    """

    name, role, family = "raft_mlp", "mixer", "mlp"
    elastic = {"raft": (1, 2, 4), "expansion": (1, 2), "grid": (8,)}
    layout = {
        f"{axis}.{name}": layout
        for axis in ("vertical", "horizontal")
        for name, layout in {
            "up": "(raft expansion grid) raft grid",
            "up_bias": "(raft expansion grid)",
            "down": "(raft expansion grid) raft grid",
            "down_bias": "raft grid",
        }.items()
    }

    def __init__(self, dim: int, raft: int, expansion: int, grid: int) -> None:
        super().__init__()
        self.raft = raft
        self.vertical = _AxisMLP(raft, grid, raft * expansion * grid)
        self.horizontal = _AxisMLP(raft, grid, raft * expansion * grid)

    def forward(self, x: Tensor) -> Tensor:
        groups = x.unflatten(1, (self.raft, -1))  # (B, raft, group, H, W)
        down = self.vertical(groups.permute(0, 2, 4, 1, 3)).permute(0, 3, 1, 4, 2)
        across = self.horizontal((groups + down).permute(0, 2, 3, 1, 4)).permute(0, 3, 1, 2, 4)
        return (down + across).flatten(1, 2)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, raft=sizes["raft"], expansion=sizes["expansion"], grid=sizes["grid"])
        if sizes["dim"] % sizes["raft"]:
            raise SpaceError(
                f"operator {cls.name!r}: raft: got {sizes['raft']}; legal: divisors of dim = {sizes['dim']}"
            )

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        raft, grid = sizes["raft"], sizes["grid"]
        hidden, macs, writes = raft * sizes["expansion"] * grid, 0, 0
        for length, lines in ((height, width), (width, height)):
            lines *= sizes["dim"] // raft
            macs += 2 * lines * raft * length * hidden
            writes += lines * (hidden + raft * length)
            if length != grid:
                macs += (2 * hidden + 1) * raft * grid * length
                writes += (2 * hidden + 1) * raft * length
        return macs, writes
