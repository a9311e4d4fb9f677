"""The gated delta rule over images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.directions import mean_over_scans
from search_spaces.operators.gated_delta import delta_work, gated_delta_scan
from search_spaces.operators.layers import RMSNorm, full_precision, to_image, to_tokens
from search_spaces.operators.legal import odd, require
from search_spaces.operators.registry import register


@register
class GatedDelta(Operator):
    """Gated DeltaNet (Yang et al., arXiv 2412.06464) over the tokens of an image, in 1, 2 or 4 directions: each head keeps a
    memory that is decayed and corrected towards each value. Queries, keys and values pass a short depthwise convolution;
    queries and keys have length 1, also of a slice; each head's output is normed and gated. Each direction has its own
    decays; directions are averaged.

    Args:
        dim: channels in and out.
        heads: number of heads; each has one decay and one strength of correction.
        key_dim: channels of a head's queries and keys.
        head_dim: channels of a head's values.
        kernel: odd side of the convolutions.
        scans: directions, 1, 2 or 4.
    """

    name, role, family = "gated_delta", "mixer", "ssm"
    elastic = {"heads": (2, 4), "key_dim": (8, 16), "head_dim": (8, 16), "kernel": (3, 5), "scans": (1, 2, 4)}
    layout = {
        "query_key.weight": "(2 heads key_dim) dim",
        "value_gate.weight": "(2 heads head_dim) dim",
        "strength_step.weight": "(2 heads) dim",
        "keys_conv.weight": "(2 heads key_dim) 1 kernel@centre kernel@centre",
        "values_conv.weight": "(heads head_dim) 1 kernel@centre kernel@centre",
        "step_bias": "scans heads",
        "log_rate": "scans heads",
        "norm.weight": "head_dim",
        "out.weight": "dim (heads head_dim)",
    }

    def __init__(self, dim: int, heads: int, key_dim: int, head_dim: int, kernel: int, scans: int) -> None:
        super().__init__()
        keys, inner = 2 * heads * key_dim, heads * head_dim
        self.heads, self.key_dim, self.head_dim, self.scans = heads, key_dim, head_dim, scans
        self.query_key = nn.Linear(dim, keys, bias=False)
        self.value_gate = nn.Linear(dim, 2 * inner, bias=False)
        self.strength_step = nn.Linear(dim, 2 * heads, bias=False)
        self.keys_conv = nn.Conv2d(keys, keys, kernel, padding=kernel // 2, groups=keys, bias=False)
        self.values_conv = nn.Conv2d(inner, inner, kernel, padding=kernel // 2, groups=inner, bias=False)
        steps = torch.logspace(-3, -1, heads).expand(scans, heads)  # from 0.001 to 0.1, as in Mamba
        self.step_bias = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))  # the inverse of softplus
        self.log_rate = nn.Parameter(torch.linspace(1, 16, heads).log().expand(scans, heads).clone())
        self.norm = RMSNorm(head_dim)
        self.out = nn.Linear(inner, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        tokens = to_tokens(x)
        values, gate = self.value_gate(tokens).chunk(2, -1)
        keys = F.silu(to_tokens(self.keys_conv(to_image(self.query_key(tokens), height, width))))
        values = F.silu(to_tokens(self.values_conv(to_image(values, height, width))))
        q, k = (self._unit(t.unflatten(-1, (self.heads, self.key_dim))) for t in full_precision(keys).chunk(2, -1))
        v = full_precision(values).unflatten(-1, (self.heads, self.head_dim))
        strength, step = full_precision(self.strength_step(tokens)).chunk(2, -1)
        inputs = (q * self.key_dim**-0.5, k, v, strength.sigmoid(), step)
        mixed = self.norm(mean_over_scans(self._along, inputs, self.scans, height, width)).flatten(2)
        return to_image(self.out((mixed * F.silu(full_precision(gate))).to(x.dtype)), height, width)

    def _unit(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)

    def _along(self, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, step: Tensor, scan: int, backward: bool) -> Tensor:
        log_decay = -full_precision(self.log_rate[scan]).exp() * F.softplus(step + self.step_bias[scan])
        return gated_delta_scan(q, k, v, beta, log_decay, backward=backward)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(sizes["scans"] in (1, 2, 4), cls, "scans", sizes["scans"], "1, 2, 4")
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, heads = height * width, sizes["dim"], sizes["heads"]
        keys, inner = 2 * heads * sizes["key_dim"], heads * sizes["head_dim"]
        macs, writes = delta_work(tokens, heads, sizes["key_dim"], sizes["head_dim"])
        rows, convolved = keys + 2 * inner + 2 * heads, keys + inner
        shell = tokens * (dim * (rows + inner) + convolved * sizes["kernel"] ** 2)
        return shell + sizes["scans"] * macs, tokens * (rows + convolved + dim) + sizes["scans"] * writes
