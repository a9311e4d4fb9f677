"""Mixtures of experts, routed by token and computed without data-dependent shapes."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.errors import SpaceError
from search_spaces.operators.base import Operator
from search_spaces.operators.layers import full_precision
from search_spaces.operators.legal import positive
from search_spaces.operators.registry import register
from search_spaces.operators.transforms import constant


def top_mask(scores: Tensor, count: int) -> Tensor:
    """1 where a score ``(..., experts)`` is among the ``count`` largest of its row, else 0; of equal ones the first wins.

    Ranks are counted from comparisons of all pairs, so that no sort and no index is in the graph.
    """
    experts = scores.shape[-1]
    mine, other = scores.unsqueeze(-1), scores.unsqueeze(-2)
    earlier = constant(np.tri(experts, k=-1), scores)
    ahead = (other > mine).to(scores.dtype) + (other == mine).to(scores.dtype) * earlier
    return (ahead.sum(-1) < count).to(scores.dtype)


class _Experts(Operator):
    """Router and gates that both mixtures share. All experts are computed for every token and the gates, of which all but
    ``top_k`` are 0, weigh their hidden units; so the MACs counted are those of all experts, as they are computed.

    Args:
        dim: channels in and out.
        ratio: hidden channels of one expert over ``dim``.
        experts: number of experts.
        top_k: experts that a token is routed to; ``experts`` is soft routing.
    """

    role, family = "channel_mixer", "mlp"
    bf16_error = 1.0  # a token whose scores nearly tie may go to another expert

    def __init__(self, dim: int, ratio: int, experts: int, top_k: int) -> None:
        super().__init__()
        self.experts, self.top_k = experts, top_k
        self.router = nn.Linear(dim, experts, bias=False)

    def gates(self, tokens: Tensor) -> Tensor:
        """``(..., dim)`` -> ``(..., experts)``: softmax over the chosen experts, 0 for the others."""
        scores = full_precision(self.router(tokens)).softmax(-1)
        if self.top_k < self.experts:
            scores = scores * top_mask(scores, self.top_k)
            scores = scores / scores.sum(-1, keepdim=True)
        return scores.to(tokens.dtype)

    def weigh(self, hidden: Tensor, gates: Tensor) -> Tensor:
        """Every expert's hidden units ``(..., experts * hidden)`` times its gate."""
        return (hidden.unflatten(-1, (self.experts, -1)) * gates.unsqueeze(-1)).flatten(-2)

    def balance(self, tokens: Tensor) -> Tensor:
        """The load-balance loss of Switch (Fedus et al., arXiv 2101.03961) on tokens ``(..., dim)``: 1 where all experts get
        equal shares, up to ``experts / top_k`` where one set gets all."""
        scores = full_precision(self.router(tokens)).softmax(-1).flatten(0, -2)
        load = top_mask(scores, self.top_k).mean(0) / self.top_k
        return self.experts * (load * scores.mean(0)).sum()

    @classmethod
    def parameter_counts(cls, **sizes: int) -> tuple[int, int]:
        """(all parameters, those that one token uses): the router and ``top_k`` experts."""
        with torch.device("meta"):
            module = cls(**sizes)
        total = sum(parameter.numel() for parameter in module.parameters())
        router = module.router.weight.numel()
        return total, router + (total - router) * sizes["top_k"] // sizes["experts"]

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "hidden": sizes["dim"] * sizes["ratio"]}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, experts=sizes["experts"])
        if not 1 <= sizes["top_k"] <= sizes["experts"]:
            legal = f"1 to experts = {sizes['experts']}"
            raise SpaceError(f"operator {cls.name!r}: top_k: got {sizes['top_k']}; legal: {legal}")


@register
class MoEMLP(_Experts):
    """Mixture of two-layer GELU MLPs (Shazeer et al., arXiv 1701.06538; in vision Riquelme et al., arXiv 2106.05974), each
    token routed to ``top_k`` experts whose outputs are weighed by a softmax over their scores. One expert is ``mlp``.

    All experts are computed for every token, so the MACs counted are those of all experts. `parameter_counts` gives all
    and active parameters.

    Args:
        dim: channels in and out.
        ratio: hidden channels of one expert over ``dim``.
        experts: number of experts.
        top_k: experts that a token is routed to; ``experts`` is soft routing.
    """

    name = "moe_mlp"
    elastic = {"ratio": (1, 2), "experts": (2, 4), "top_k": (1, 2)}
    layout = {
        "router.weight": "experts dim",
        "up.weight": "(experts hidden) dim",
        "up.bias": "(experts hidden)",
        "down.weight": "dim (experts hidden)",
        "down_bias": "experts dim",
    }

    def __init__(self, dim: int, ratio: int, experts: int, top_k: int) -> None:
        super().__init__(dim, ratio, experts, top_k)
        self.up = nn.Linear(dim, experts * dim * ratio)
        self.down = nn.Linear(experts * dim * ratio, dim, bias=False)
        self.down_bias = nn.Parameter(torch.zeros(experts, dim))
        nn.init.uniform_(self.down.weight, -((dim * ratio) ** -0.5), (dim * ratio) ** -0.5)  # as one expert's

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.permute(0, 2, 3, 1)
        gates = self.gates(tokens)
        hidden = self.weigh(F.gelu(self.up(tokens)), gates)
        return (self.down(hidden) + gates @ self.down_bias).permute(0, 3, 1, 2)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, experts = height * width, sizes["dim"], sizes["experts"]
        hidden = experts * dim * sizes["ratio"]
        return tokens * 2 * dim * (hidden + experts), tokens * (experts + hidden + 2 * dim)


@register
class SequenceMoE(_Experts):
    """Mixture of SwiGLU experts without biases over sequences, as in Mixtral (Jiang et al., arXiv 2401.04088). One expert is
    ``sequence_swiglu``. It works on every token by itself, so decoding keeps no state.

    All experts are computed for every token, so the MACs counted are those of all experts. `parameter_counts` gives all
    and active parameters.

    Args:
        dim: channels in and out.
        ratio: hidden channels of one expert over ``dim``.
        experts: number of experts.
        top_k: experts that a token is routed to; ``experts`` is soft routing.
    """

    name, domain, causal = "sequence_moe", "sequence", True
    elastic = {"ratio": (1, 2), "experts": (2, 4), "top_k": (1, 2)}
    layout = {
        "router.weight": "experts dim",
        "gate_up.weight": "(2 experts hidden) dim",
        "down.weight": "dim (experts hidden)",
    }

    def __init__(self, dim: int, ratio: int, experts: int, top_k: int) -> None:
        super().__init__(dim, ratio, experts, top_k)
        self.gate_up = nn.Linear(dim, 2 * experts * dim * ratio, bias=False)
        self.down = nn.Linear(experts * dim * ratio, dim, bias=False)
        nn.init.uniform_(self.down.weight, -((dim * ratio) ** -0.5), (dim * ratio) ** -0.5)  # as one expert's

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, -1)
        return self.down(self.weigh(F.silu(gate) * up, self.gates(x)))

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        (length,), dim, experts = extent, sizes["dim"], sizes["experts"]
        hidden = experts * dim * sizes["ratio"]
        return length * dim * (experts + 3 * hidden), length * (experts + 2 * hidden + dim)

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        return 0

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        return ()

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        return (self.forward(x),)
