"""Channel mixers: the two-layer MLP and its gated forms."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.registry import register


class ChannelMixer(Operator):
    """A map of every token's channels through ``hidden`` ones; some also take a depthwise convolution."""

    role, family = "channel_mixer", "mlp"

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "hidden": sizes["dim"] * sizes["ratio"]}


@register
class MLP(ChannelMixer):
    """Linear, GELU, linear, on every token by itself.

    Args:
        dim: channels in and out.
        ratio: hidden channels over ``dim``.
    """

    name = "mlp"
    elastic = {"ratio": (2, 3, 4)}
    layout = {"up.weight": "hidden dim", "up.bias": "hidden", "down.weight": "dim hidden", "down.bias": "dim"}

    def __init__(self, dim: int, ratio: int) -> None:
        super().__init__()
        self.up = nn.Linear(dim, dim * ratio)
        self.down = nn.Linear(dim * ratio, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x.permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, hidden = height * width, sizes["dim"], sizes["dim"] * sizes["ratio"]
        return 2 * tokens * dim * hidden, tokens * (hidden + dim)


@register
class GatedMLP(ChannelMixer):
    """SwiGLU (Shazeer, arXiv 2002.05202): ``down(silu(gate) * up)``.

    Args:
        dim: channels in and out.
        ratio: hidden channels over ``dim``.
    """

    name = "gated_mlp"
    elastic = {"ratio": (1, 2, 3)}
    layout = {
        "gate_up.weight": "(2 hidden) dim",
        "gate_up.bias": "(2 hidden)",
        "down.weight": "dim hidden",
        "down.bias": "dim",
    }

    def __init__(self, dim: int, ratio: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(dim, 2 * dim * ratio)
        self.down = nn.Linear(dim * ratio, dim)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x.permute(0, 2, 3, 1)).chunk(2, -1)
        return self.down(self.activate(gate) * up).permute(0, 3, 1, 2)

    def activate(self, gate: Tensor) -> Tensor:
        """What the gate goes through."""
        return F.silu(gate)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, hidden = height * width, sizes["dim"], sizes["dim"] * sizes["ratio"]
        return 3 * tokens * dim * hidden, tokens * (2 * hidden + dim)


@register
class GLU(GatedMLP):
    """Gated linear unit (Dauphin et al., arXiv 1612.08083): ``down(sigmoid(gate) * up)``.

    Args:
        dim: channels in and out.
        ratio: hidden channels over ``dim``.
    """

    name = "glu"

    def activate(self, gate: Tensor) -> Tensor:
        return gate.sigmoid()
