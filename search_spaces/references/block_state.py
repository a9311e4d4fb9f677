"""Block-state attention: filters run token by token, and every token attends to explicit lists of keys."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.block_state import BlockState
from search_spaces.operators.sequence_attention import GroupedQueryAttention
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.sequence_attention import complex_rotation


def context_rows(op: Any, x: Tensor) -> list[Tensor]:
    """The context ``(B, states, dim)`` of each block."""
    keep = torch.exp(-torch.exp(op.log_rate))[:, None]
    filters = torch.zeros(x.shape[0], op.states, x.shape[-1], dtype=x.dtype)
    outputs, contexts = [], [torch.zeros_like(filters)]
    for t in range(x.shape[1]):
        filters = keep * filters + x[:, t, None]
        outputs.append(torch.einsum("s,bsd->bd", op.readout[0], filters))
        if (t + 1) % op.window == 0:
            multi = torch.einsum("is,bsd->bid", op.readout, filters)
            single = torch.stack(outputs[-op.states :], 1)
            contexts.append((single, multi, op.readout.diagonal()[:, None] * filters)[op.variant])
    return contexts


@reference("sequence_block_state")
def token_by_token(op: Any, x: Tensor) -> Tensor:
    size, contexts = op.head_dim, context_rows(op, x)
    own, cross = (x @ rows.T for rows in op.query.weight.split(op.heads * size))
    key, value = x @ op.key.weight.T, x @ op.value.weight.T
    rows = []
    for t in range(x.shape[1]):
        first = t - t % op.window
        context = contexts[t // op.window]
        context_key, context_value = context @ op.context_key.weight.T, context @ op.context_value.weight.T
        found: dict[str, list[Tensor]] = {"own": [], "cross": []}
        for head in range(op.heads):
            part = slice(head * size, (head + 1) * size)
            turned = complex_rotation(key[:, first : t + 1, part])
            query = complex_rotation(own[:, first : t + 1, part])[:, -1:]
            weights = (query @ turned.mT / size**0.5).softmax(-1)
            found["own"].append(weights @ value[:, first : t + 1, part])
            weights = (cross[:, t : t + 1, part] @ context_key[..., part].mT / size**0.5).softmax(-1)
            found["cross"].append(weights @ context_value[..., part])
        rows.append(torch.cat(found["own"] + found["cross"], -1))
    return torch.cat(rows, 1) @ op.out.weight.T


def _op(variant: int) -> Any:
    torch.manual_seed(0)
    return BlockState(dim=8, heads=2, head_dim=4, window=8, states=4, variant=variant).double()


@degenerate("sequence_block_state", "state-space output 0: attention inside blocks (block transformer)")
def without_context() -> tuple[Tensor, Tensor]:
    op, x = _op(1), torch.randn(2, 24, 8, dtype=torch.float64)
    op.readout.data.zero_()
    block = GroupedQueryAttention(dim=8, kv_heads=2, group=1, head_dim=4, causal=1).double()
    block.query.weight.data.copy_(op.query.weight[:8])
    block.key, block.value = op.key, op.value
    block.out.weight.data.copy_(op.out.weight[:, :8])
    return op(x), torch.cat([block(part) for part in x.split(8, 1)], 1)


@degenerate("sequence_block_state", "the first block of each variant has no context: attention inside the block")
def first_block() -> tuple[Tensor, Tensor]:
    x, outputs = torch.randn(2, 8, 8, dtype=torch.float64), []
    for variant in range(3):
        outputs.append(_op(variant)(x))
    return torch.stack(outputs[1:]), torch.stack([outputs[0]] * 2)


@degenerate("sequence_block_state", "multi-head with a diagonal readout: multi-filter")
def diagonal_readout() -> tuple[Tensor, Tensor]:
    heads, filters, x = _op(1), _op(2), torch.randn(2, 30, 8, dtype=torch.float64)
    heads.readout.data.copy_(heads.readout.diagonal().diag())
    return heads(x), filters(x)


@degenerate("sequence_block_state", "one context vector: single-head equals multi-head")
def one_state() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    sizes = {"dim": 8, "heads": 2, "head_dim": 4, "window": 8, "states": 1}
    single, multi = BlockState(**sizes, variant=0).double(), BlockState(**sizes, variant=1).double()
    multi.load_state_dict(single.state_dict())
    x = torch.randn(2, 40, 8, dtype=torch.float64)
    return single(x), multi(x)
