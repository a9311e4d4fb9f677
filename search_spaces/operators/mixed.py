"""Two ways to mix tokens side by side: window attention and convolution, windows and a coarse map, tokens and memory."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.attention_parts import attend_within, summed, work_within
from search_spaces.operators.attention_projections import (
    ProjectedMixer,
    attention_work,
    merge_heads,
    pad_to_multiple,
    softmax_attention,
    split_heads,
)
from search_spaces.operators.groups import windows
from search_spaces.operators.layers import to_image, to_tokens
from search_spaces.operators.registry import register
from search_spaces.operators.window import WindowAttention


@register
class HybridAttention(WindowAttention):
    """Hybrid attention of HAT (Chen et al., arXiv 2205.04437): window attention beside two 3x3 convolutions whose channels are
    then gated by their means, with a learned weight a channel.

    Args:
        middle: channels between the two convolutions, and of the gate.
    """

    name = "hybrid_attention"
    elastic = {**WindowAttention.elastic, "middle": (4, 8)}
    layout = {
        **WindowAttention.layout,
        "squeeze.weight": "middle dim 3 3",
        "squeeze.bias": "middle",
        "expand.weight": "dim middle 3 3",
        "expand.bias": "dim",
        "gate_in.weight": "middle dim 1 1",
        "gate_in.bias": "middle",
        "gate_out.weight": "dim middle 1 1",
        "gate_out.bias": "dim",
        "share": "dim 1 1",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, window: int, shift: int, middle: int) -> None:
        super().__init__(dim, heads, head_dim, window, shift)
        self.squeeze = nn.Conv2d(dim, middle, 3, padding=1)
        self.expand = nn.Conv2d(middle, dim, 3, padding=1)
        self.gate_in, self.gate_out = nn.Conv2d(dim, middle, 1), nn.Conv2d(middle, dim, 1)
        self.share = nn.Parameter(torch.full((dim, 1, 1), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        local = self.expand(F.gelu(self.squeeze(x)))
        gate = self.gate_out(F.relu(self.gate_in(local.mean((2, 3), keepdim=True)))).sigmoid()
        return super().forward(x) + self.share * (local * gate)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, middle = height * width, sizes["dim"], sizes["middle"]
        branch = 2 * dim * middle * (9 * tokens + 1), (tokens + 1) * (dim + middle)
        return summed(super().work(height, width, **sizes), branch)


@register
class LocalGlobalAttention(ProjectedMixer):
    """Window attention and attention to a coarser map in parallel, as in MAFormer (Wang et al., arXiv 2209.01620). Both share
    the queries; keys and values of the coarse branch come from a depthwise convolution whose kernel is its stride; a gate
    of each token and head weighs the two branches.

    Args:
        window: side of a window.
        ratio: stride of the coarse map.
    """

    name = "local_global_attention"
    elastic = {**ProjectedMixer.elastic, "window": (4, 7), "ratio": (2, 4)}
    layout = {
        **ProjectedMixer.layout,
        "shrink.weight": "dim 1 ratio ratio",
        "shrink.bias": "dim",
        "coarse.weight": "(2 heads head_dim) dim",
        "coarse.bias": "(2 heads head_dim)",
        "gate.weight": "heads dim",
        "gate.bias": "heads",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, window: int, ratio: int) -> None:
        super().__init__(dim, heads, head_dim)
        self.head_dim, self.window, self.ratio = head_dim, window, ratio
        self.shrink = nn.Conv2d(dim, dim, ratio, stride=ratio, groups=dim)
        self.coarse = nn.Linear(dim, 2 * heads * head_dim)
        self.gate = nn.Linear(dim, heads)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        qkv = self.qkv(to_tokens(x))
        groups = windows(height, width, self.window)
        near = attend_within(groups, qkv.unflatten(1, (height, width)), self.head_dim).flatten(1, 2)
        k, v = self.coarse(to_tokens(self.shrink(pad_to_multiple(x, self.ratio)))).chunk(2, -1)
        far = softmax_attention(*(split_heads(t, self.heads) for t in (qkv.chunk(3, -1)[0], k, v)))
        gate = self.gate(to_tokens(x)).sigmoid().transpose(1, 2).unsqueeze(-1)  # (B, heads, L, 1)
        mixed = gate * split_heads(near, self.heads) + (1 - gate) * far
        return to_image(self.out(merge_heads(mixed)), height, width)

    @classmethod
    def core_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        dim, heads, head_dim, ratio = sizes["dim"], sizes["heads"], sizes["head_dim"], sizes["ratio"]
        tokens, inner = height * width, heads * head_dim
        keys = math.ceil(height / ratio) * math.ceil(width / ratio)
        near = work_within(windows(height, width, sizes["window"]), heads, head_dim)
        far = attention_work(tokens, keys, heads, head_dim, head_dim)
        coarse = keys * dim * (ratio**2 + 2 * inner), keys * (dim + 2 * inner)
        return summed(near, far, coarse, (tokens * dim * heads, tokens * heads))


@register
class GlobalTokenAttention(ProjectedMixer):
    """Softmax attention whose keys and values hold, besides the image's tokens, learned tokens that carry what belongs to no
    place: the global tokens of DualToken-ViT (Chu et al., arXiv 2309.12424), here owned by the layer instead of passed on.

    Args:
        extra: number of learned tokens; 0 is plain attention.
    """

    name, counts = "global_token_attention", ("extra",)
    elastic = {**ProjectedMixer.elastic, "extra": (0, 4, 8)}
    layout = {**ProjectedMixer.layout, "tokens": "extra dim"}

    def __init__(self, dim: int, heads: int, head_dim: int, extra: int) -> None:
        super().__init__(dim, heads, head_dim)
        self.tokens = nn.Parameter(0.02 * torch.randn(extra, dim)) if extra else None

    def project(self, x: Tensor) -> Tensor:
        tokens = to_tokens(x)
        if self.tokens is not None:
            tokens = torch.cat([self.tokens.unsqueeze(0).expand(x.shape[0], -1, -1), tokens], 1)
        return self.qkv(tokens)

    def core(self, q: Tensor, k: Tensor, v: Tensor, height: int, width: int) -> Tensor:
        return softmax_attention(q[:, :, q.shape[2] - height * width :], k, v)

    @classmethod
    def core_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, extra, heads, head_dim = height * width, sizes["extra"], sizes["heads"], sizes["head_dim"]
        core = attention_work(tokens, tokens + extra, heads, head_dim, head_dim)
        written = 3 * extra * heads * head_dim
        return summed(core, (written * sizes["dim"], written))
