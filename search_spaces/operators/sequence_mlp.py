"""Channel mixers over sequences: the two-layer MLP and SwiGLU, without biases as language models have them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.registry import register


class _PerToken(Operator):
    """Works on every token by itself: causal, and decoding keeps no state.

    Args:
        dim: channels in and out.
        ratio: hidden channels over ``dim``.
    """

    role, family, domain, causal = "channel_mixer", "mlp", "sequence", True

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "hidden": sizes["dim"] * sizes["ratio"]}

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        return 0

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        return ()

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        return (self.forward(x),)


@register
class SequenceMLP(_PerToken):
    """Linear, GELU, linear, on every token by itself (Vaswani et al., arXiv 1706.03762, with a GELU).

    Args:
        dim: channels in and out.
        ratio: hidden channels over ``dim``.
    """

    name = "sequence_mlp"
    elastic = {"ratio": (2, 3, 4)}
    layout = {"up.weight": "hidden dim", "down.weight": "dim hidden"}

    def __init__(self, dim: int, ratio: int) -> None:
        super().__init__()
        self.up = nn.Linear(dim, dim * ratio, bias=False)
        self.down = nn.Linear(dim * ratio, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x)))

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        (length,), dim, hidden = extent, sizes["dim"], sizes["dim"] * sizes["ratio"]
        return 2 * length * dim * hidden, length * (hidden + dim)


@register
class SequenceSwiGLU(_PerToken):
    """SwiGLU (Shazeer, arXiv 2002.05202): ``down(silu(gate) * up)``, on every token by itself.

    Args:
        dim: channels in and out.
        ratio: hidden channels over ``dim``.
    """

    name = "sequence_swiglu"
    elastic = {"ratio": (1, 2, 3)}
    layout = {"gate_up.weight": "(2 hidden) dim", "down.weight": "dim hidden"}

    def __init__(self, dim: int, ratio: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(dim, 2 * dim * ratio, bias=False)
        self.down = nn.Linear(dim * ratio, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, -1)
        return self.down(F.silu(gate) * up)

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        (length,), dim, hidden = extent, sizes["dim"], sizes["dim"] * sizes["ratio"]
        return 3 * length * dim * hidden, length * (2 * hidden + dim)
