"""Evidence for attention to reduced keys."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.references.attention_projections import (
    dense_attention,
    depthwise,
    example,
    grid_means,
    image_of,
    layer_norm,
    linear,
    made,
    mhsa_like,
    qkv,
    tokens_of,
)
from search_spaces.references.registry import degenerate, reference


def _blocks(x: Tensor, ratio: int) -> list[Tensor]:
    """Blocks of ``ratio`` x ``ratio`` pixels, row by row; those at the edge may be cut."""
    return [
        x[:, :, i : i + ratio, j : j + ratio] for i in range(0, x.shape[2], ratio) for j in range(0, x.shape[3], ratio)
    ]


def _attend(op: Any, x: Tensor, reduced: Tensor) -> Tensor:
    q, k, v = linear(op.query, tokens_of(x)), linear(op.key, reduced), linear(op.value, reduced)
    return image_of(linear(op.out, dense_attention(q, k, v, op.heads)), *x.shape[2:])


@reference("reduced_attention")
def reduced_attention(op: Any, x: Tensor) -> Tensor:
    """Every block is one product with the kernel; the pixels that a cut block lacks count as zero."""
    if op.shrink is None:
        return _attend(op, x, tokens_of(x))
    summaries = []
    for block in _blocks(x, op.ratio):
        kernel = op.shrink.weight[:, :, : block.shape[2], : block.shape[3]]
        summaries.append(torch.einsum("bchw,ochw->bo", block, kernel) + op.shrink.bias)
    return _attend(op, x, layer_norm(op.norm, torch.stack(summaries, 1)))


@reference("e_mhsa")
def e_mhsa(op: Any, x: Tensor) -> Tensor:
    """Keys from the mean of what is in each block."""
    return _attend(op, x, torch.stack([block.mean((2, 3)) for block in _blocks(x, op.ratio)], 1))


@reference("linear_sra")
def linear_sra(op: Any, x: Tensor) -> Tensor:
    """Region by region, and GELU by the error function."""
    summary = layer_norm(op.norm, linear(op.map, grid_means(x, op.side)))
    return _attend(op, x, summary * 0.5 * (1 + torch.erf(summary / 2**0.5)))


@reference("pooling_attention")
def pooling_attention(op: Any, x: Tensor) -> Tensor:
    """Every head is pooled by itself with the shared kernel, tap by tap."""
    q, k, v = qkv(op, tokens_of(x))
    if op.stride > 1:
        pooled = []
        for t, pool, norm in ((k, op.pool_key, op.norm_key), (v, op.pool_value, op.norm_value)):
            maps = image_of(t, *x.shape[2:]).chunk(op.heads, 1)
            heads = [layer_norm(norm, tokens_of(depthwise(m, pool.weight, None, op.stride))) for m in maps]
            pooled.append(torch.cat(heads, -1))
        k, v = pooled
    return image_of(linear(op.out, dense_attention(q, k, v, op.heads)), *x.shape[2:])


@reference("lowformer_attention")
def lowformer_attention(op: Any, x: Tensor) -> Tensor:
    """The convolution back adds one scaled kernel a low-resolution pixel to the output."""
    height, width = x.shape[2:]
    stride = 1 if op.up is None else op.up.stride[0]
    low = depthwise(x, op.down.weight, op.down.bias, stride)
    q, k, v = qkv(op, tokens_of(low))
    mixed = image_of(linear(op.out, dense_attention(q, k, v, op.heads)), *low.shape[2:])
    if op.up is None:
        return mixed
    margin = stride // 2
    canvas = x.new_zeros(*x.shape[:2], height + 4 * stride, width + 4 * stride)
    for i in range(low.shape[2]):
        for j in range(low.shape[3]):
            kernel = op.up.weight[:, 0] * mixed[:, :, i, j, None, None]
            canvas[:, :, i * stride : (i + 2) * stride, j * stride : (j + 2) * stride] += kernel
    return canvas[:, :, margin : margin + height, margin : margin + width] + op.up.bias[:, None, None]


def _plain(name: str, **sizes: int) -> tuple[Tensor, Tensor]:
    op, x = made(name, dim=12, heads=3, head_dim=8, **sizes), example(1, 2, 12, 5, 7)
    return op(x), mhsa_like(op, x)


@degenerate("reduced_attention", "ratio 1: mhsa")
def ratio_one() -> tuple[Tensor, Tensor]:
    return _plain("reduced_attention", ratio=1)


@degenerate("e_mhsa", "ratio 1: mhsa")
def block_of_one() -> tuple[Tensor, Tensor]:
    return _plain("e_mhsa", ratio=1)


@degenerate("pooling_attention", "stride 1: mhsa")
def stride_one() -> tuple[Tensor, Tensor]:
    return _plain("pooling_attention", kernel=3, stride=1)


@degenerate("reduced_attention", "kernel that averages, norm of statistics undone: e_mhsa")
def averaging_kernel() -> tuple[Tensor, Tensor]:
    op, x = made("reduced_attention", dim=12, heads=3, head_dim=8, ratio=2), example(1, 2, 12, 6, 8)
    op.shrink.weight.data.copy_(torch.eye(12)[:, :, None, None] / 4)
    op.shrink.bias.data.zero_()
    op.norm = nn.Identity()
    other = made("e_mhsa", dim=12, heads=3, head_dim=8, ratio=2)
    other.load_state_dict({name: t for name, t in op.state_dict().items() if name in other.state_dict()})
    return op(x), other(x)


@degenerate("linear_sra", "a region a pixel, map and norm taken away, large inputs where GELU is the identity: mhsa")
def region_of_one() -> tuple[Tensor, Tensor]:
    op, x = made("linear_sra", dim=12, heads=3, head_dim=8, side=7), example(1, 2, 12, 5, 7) + 20
    op.map, op.norm = nn.Identity(), nn.Identity()
    return op(x), mhsa_like(op, x)


@degenerate("lowformer_attention", "stride 1 and a kernel that is one in its centre: mhsa")
def no_convolution() -> tuple[Tensor, Tensor]:
    op, x = made("lowformer_attention", dim=12, heads=3, head_dim=8, kernel=3, stride=1), example(1, 2, 12, 5, 7)
    op.down.weight.data.zero_()[:, :, 1, 1] = 1
    op.down.bias.data.zero_()
    return op(x), mhsa_like(op, x)
