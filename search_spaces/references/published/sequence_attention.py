"""Attention over sequences against transformers' Llama, Mistral, Bloom, MPT and DiffLlama."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.operators.sequence_attention import (
    AlibiAttention,
    DifferentialAttention,
    GroupedQueryAttention,
    SlidingWindowAttention,
)
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published

SIZES = {"hidden_size": 12, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6, "rms_norm_eps": 1e-5}


def _modelling(name: str) -> Any:
    return package_module(f"transformers.models.{name}.modeling_{name}")


def _rotary(module: Any, config: Any, length: int) -> tuple[Tensor, Tensor]:
    embedding = next(getattr(module, name) for name in dir(module) if name.endswith("RotaryEmbedding"))(config=config)
    cos, sin = embedding(torch.zeros(1, dtype=torch.float64), torch.arange(length)[None])
    return cos, sin


def _mask(length: int, window: int) -> Tensor:
    age = torch.arange(length)[:, None] - torch.arange(length)
    return torch.where((age >= 0) & (age < window), 0.0, -torch.inf).double()[None, None]


def _copy(op: Any, theirs: Any) -> None:
    for own, other in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), ("out", "o_proj")):
        getattr(theirs, other).weight.copy_(getattr(op, own).weight)


@published("sequence_gqa", "LlamaAttention (transformers)", "transformers")
def llama() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    module = _modelling("llama")
    config = module.LlamaConfig(**SIZES, attn_implementation="eager")
    op, theirs = GroupedQueryAttention(12, 2, 2, 6, 1).double(), module.LlamaAttention(config, 0).double().eval()
    x = torch.randn(2, 20, 12).double()
    with torch.no_grad():
        _copy(op, theirs)
        return op(x), theirs(x, _rotary(module, config, 20), _mask(20, 20))[0]


@published("sequence_window_attention", "MistralAttention (transformers)", "transformers")
def mistral() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    module = _modelling("mistral")
    config = module.MistralConfig(**SIZES, sliding_window=8, rope_theta=10000.0, attn_implementation="eager")
    op, theirs = SlidingWindowAttention(12, 2, 2, 6, 8, 1).double(), module.MistralAttention(config, 0).double().eval()
    x = torch.randn(2, 30, 12).double()
    with torch.no_grad():
        _copy(op, theirs)
        masking = package_module("transformers.masking_utils").create_sliding_window_causal_mask
        mask = masking(config=config, inputs_embeds=x, attention_mask=None, past_key_values=None, position_ids=None)
        return op(x), theirs(x, _rotary(module, config, 30), mask)[0]


@published("sequence_alibi_attention", "BloomAttention (transformers)", "transformers")
def bloom() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    module = _modelling("bloom")
    theirs = module.BloomAttention(module.BloomConfig(hidden_size=16, n_head=4), 0).double().eval()
    op, x = AlibiAttention(16, 4, 1, 4, 1).double(), torch.randn(2, 20, 16).double()
    with torch.no_grad():
        rows = [getattr(op, name).weight.unflatten(0, (4, 4)) for name in ("query", "key", "value")]
        theirs.query_key_value.weight.copy_(torch.stack(rows, 1).flatten(0, 2))
        theirs.query_key_value.bias.zero_()
        theirs.dense.weight.copy_(op.out.weight)
        theirs.dense.bias.zero_()
        alibi = module.build_alibi_tensor(torch.ones(2, 20), 4, torch.float64)
        return op(x), theirs(x, torch.zeros_like(x), alibi, _mask(20, 20))[0]


@published("sequence_alibi_attention", "MptAttention (transformers)", "transformers")
def mpt() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    module = _modelling("mpt")
    theirs = module.MptAttention(module.MptConfig(d_model=16, n_heads=4), 0).double().eval()
    op, x = AlibiAttention(16, 4, 1, 4, 1).double(), torch.randn(2, 20, 16).double()
    with torch.no_grad():
        theirs.Wqkv.weight.copy_(torch.cat([op.query.weight, op.key.weight, op.value.weight]))
        theirs.out_proj.weight.copy_(op.out.weight)
        alibi = module.build_mpt_alibi_tensor(4, 20)
        return op(x), theirs(x, alibi, attention_mask=_mask(20, 20) < 0)[0]


@published("sequence_differential_attention", "DiffLlamaAttention (transformers)", "transformers")
def diff_llama() -> tuple[Tensor, Tensor]:
    """Theirs pairs head h with head h + heads / 2, and takes the two halves of a value from key-value heads h and h + 2."""
    torch.manual_seed(0)
    module = _modelling("diffllama")
    sizes = {**SIZES, "num_attention_heads": 8, "num_key_value_heads": 4}
    config = module.DiffLlamaConfig(**sizes, attn_implementation="eager")
    op, theirs = DifferentialAttention(12, 2, 2, 6, 1).double(), module.DiffLlamaAttention(config, 0).double().eval()
    x = torch.randn(2, 20, 12).double()
    with torch.no_grad():
        theirs.q_proj.weight.copy_(op.query.weight)
        theirs.k_proj.weight.copy_(op.key.weight)
        theirs.v_proj.weight.copy_(op.value.weight.unflatten(0, (2, 2, 6)).transpose(0, 1).flatten(0, 2))
        theirs.o_proj.weight.copy_(op.out.weight)
        for name, row in zip(("lambda_q1", "lambda_k1", "lambda_q2", "lambda_k2"), op.balance, strict=True):
            getattr(theirs, name).copy_(row)
        theirs.lambda_init = op.start
        return op(x), theirs(x, _rotary(module, config, 20), _mask(20, 20))[0]


@published("sequence_gqa", "nn.MultiheadAttention (torch), not causal, without positions", "torch")
def multi_head() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = GroupedQueryAttention(12, 3, 1, 4, 0).double(), torch.randn(2, 20, 12).double()
    op.rotary = False  # type: ignore[misc]
    theirs = nn.MultiheadAttention(12, 3, bias=False, batch_first=True).double().eval()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([op.query.weight, op.key.weight, op.value.weight]))
        theirs.out_proj.weight.copy_(op.out.weight)
        return op(x), theirs(x, x, x)[0]
