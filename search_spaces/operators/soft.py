"""Nystrom approximations: attention through a few landmarks and the inverse of the map between them."""

from __future__ import annotations

from torch import Tensor, nn

from search_spaces.operators.attention_projections import (
    CheckedMixer,
    ProjectedMixer,
    merge_heads,
    region_means,
    region_work,
    segment_matrix,
    split_heads,
)
from search_spaces.operators.layers import full_precision, to_image, to_tokens
from search_spaces.operators.registry import register


def gaussian(a: Tensor, b: Tensor) -> Tensor:
    """``exp(-|a - b|^2 / (2 sqrt(d)))`` for every pair: ``(..., L, d)`` and ``(..., M, d)`` -> ``(..., L, M)``."""
    squares = a.square().sum(-1, keepdim=True) + b.square().sum(-1, keepdim=True).transpose(-2, -1)
    apart = squares - 2 * (a @ b.transpose(-2, -1))
    return (apart.clamp(min=0) * (-0.5 * a.shape[-1] ** -0.5)).exp()


def newton_inverse(a: Tensor, iterations: int) -> Tensor:
    """Pseudo-inverse of symmetric positive ``(..., M, M)`` by Newton's iteration ``x <- x (2 - a x)``."""
    x = a * (2 / a.sum(-1).max(-1).values.square()).unsqueeze(-1).unsqueeze(-1)
    for _ in range(iterations):
        x = 2 * x - x @ (a @ x)
    return x


def cubic_inverse(a: Tensor, iterations: int) -> Tensor:
    """Pseudo-inverse of ``(..., M, M)`` whose rows sum to one, by the iteration of third order of Razavi et al. (2014)."""
    x = a.transpose(-2, -1) / a.sum(-2).max(-1).values.unsqueeze(-1).unsqueeze(-1)
    for _ in range(iterations):
        product = a @ x
        inner = 15 * product - product @ (7 * product - product @ product)
        x = 0.25 * (13 * x - x @ inner)
    return x


@register
class SoftAttention(CheckedMixer):
    """Softmax-free attention of SOFT (Lu et al., arXiv 2110.11945): queries are also the keys, weights are Gaussian, and the
    map between all tokens is ``p a^-1 p^T`` with the maps ``p`` to, and ``a`` between, the means of a grid of regions.
    SOFT++ (arXiv 2207.03341) divides the inverse by the roots of the row sums of ``a`` on both sides.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        side: rows and columns of the grid of landmarks, at most the image's.
        iterations: of Newton's method.
        normalised: 1 for SOFT++, 0 for SOFT.
    """

    name, family, flags = "soft_attention", "linear attention", ("normalised",)
    elastic = {
        "heads": (2, 4, 6),
        "head_dim": (8, 16),
        "side": (3, 5, 7),
        "iterations": (6, 12),
        "normalised": (0, 1),
    }
    layout = {
        "query_value.weight": "(2 heads head_dim) dim",
        "query_value.bias": "(2 heads head_dim)",
        "out.weight": "dim (heads head_dim)",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, side: int, iterations: int, normalised: int) -> None:
        super().__init__()
        self.heads, self.side, self.iterations, self.normalised = heads, side, iterations, normalised
        self.query_value = nn.Linear(dim, 2 * heads * head_dim)
        self.out = nn.Linear(heads * head_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        parts = self.query_value(to_tokens(x)).chunk(2, -1)
        q, v = (full_precision(split_heads(t, self.heads)) for t in parts)
        landmarks = region_means(q.transpose(-2, -1).unflatten(-1, (height, width)), self.side)
        landmarks = landmarks.flatten(-2).transpose(-2, -1)
        between, to = gaussian(landmarks, landmarks), gaussian(q, landmarks)
        inverse = newton_inverse(between, self.iterations)
        if self.normalised:
            root = between.sum(-1, keepdim=True).rsqrt()
            inverse = root * inverse * root.transpose(-2, -1)
        mixed = to @ (inverse @ (to.transpose(-2, -1) @ v))
        return to_image(self.out(merge_heads(mixed).to(x.dtype)), height, width)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, heads, head_dim = height * width, sizes["dim"], sizes["heads"], sizes["head_dim"]
        inner, turns = heads * head_dim, sizes["iterations"]
        marks, macs, activations = region_work(inner, height, width, sizes["side"])
        macs += 3 * tokens * dim * inner + 2 * turns * heads * marks**3 + inner * (2 * marks**2 + 3 * tokens * marks)
        activations += tokens * (2 * inner + dim) + 2 * turns * heads * marks**2
        return macs, activations + heads * (marks**2 + tokens * marks) + inner * (2 * marks + tokens)


@register
class NystromAttention(ProjectedMixer):
    """Nystromformer attention (Xiong et al., arXiv 2102.03902): ``softmax(q k'^T) softmax(q' k'^T)^-1 softmax(q' k^T) v``
    with the means ``q'``, ``k'`` of segments of the tokens as landmarks, beside a convolution of the values along them.

    Args:
        landmarks: number of segments, at most the number of tokens. Where it does not divide them, segments overlap by one.
        iterations: of the pseudo-inverse.
        kernel: odd length of the convolution along the tokens, one a head.
    """

    name, family = "nystrom_attention", "linear attention"
    elastic = {**ProjectedMixer.elastic, "landmarks": (8, 16, 32), "iterations": (4, 6), "kernel": (3, 9)}
    layout = {**ProjectedMixer.layout, "local.weight": "heads 1 kernel@centre 1"}

    def __init__(self, dim: int, heads: int, head_dim: int, landmarks: int, iterations: int, kernel: int) -> None:
        super().__init__(dim, heads, head_dim)
        self.landmarks, self.iterations = landmarks, iterations
        self.local = nn.Conv2d(heads, heads, (kernel, 1), padding=(kernel // 2, 0), groups=heads, bias=False)

    def core(self, q: Tensor, k: Tensor, v: Tensor, height: int, width: int) -> Tensor:
        local, dtype = self.local(v), v.dtype
        q, k, v = (full_precision(t) for t in (q * q.shape[-1] ** -0.5, k, v))
        means = segment_matrix(height * width, min(self.landmarks, height * width), q)
        few_q, few_k = means @ q, means @ k
        inverse = cubic_inverse((few_q @ few_k.transpose(-2, -1)).softmax(-1), self.iterations)
        gathered = (few_q @ k.transpose(-2, -1)).softmax(-1) @ v
        spread = (q @ few_k.transpose(-2, -1)).softmax(-1)
        return (spread @ (inverse @ gathered)).to(dtype) + local

    @classmethod
    def core_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, heads, inner = height * width, sizes["heads"], sizes["heads"] * sizes["head_dim"]
        marks, turns = min(sizes["landmarks"], tokens), sizes["iterations"]
        macs = (
            inner * marks * (6 * tokens + 2 * marks) + 4 * turns * heads * marks**3 + tokens * inner * sizes["kernel"]
        )
        activations = inner * (4 * marks + 2 * tokens) + heads * marks * (marks + 2 * tokens)
        return macs, activations + 4 * turns * heads * marks**2
