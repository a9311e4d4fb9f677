"""The frame of sequence networks against transformers' models without layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.operators.sequence_frame import ByteEmbedding, NextTokenHead, SequencePosition
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


def _llama() -> Any:
    module = package_module("transformers.models.llama.modeling_llama")
    sizes = {"vocab_size": 50, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
    return module.LlamaForCausalLM(module.LlamaConfig(**sizes, num_hidden_layers=0, rms_norm_eps=1e-5)).double().eval()


@published("byte_embedding", "LlamaModel without layers and norm (transformers)", "transformers")
def embedding() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    theirs, op, ids = _llama().model, ByteEmbedding(vocab=50, dim=8).double(), torch.randint(50, (2, 9))
    theirs.norm = nn.Identity()
    with torch.no_grad():
        theirs.embed_tokens.weight.copy_(op.table.weight)
        return op(ids), theirs(ids).last_hidden_state


@published("next_token_head", "LlamaForCausalLM without layers (transformers)", "transformers")
def head() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    theirs, op, x = _llama(), NextTokenHead(dim=8, vocab=50).double(), torch.randn(2, 9, 8).double()
    with torch.no_grad():
        op.norm.weight.add_(0.2 * torch.randn(8))
        theirs.model.norm.weight.copy_(op.norm.weight)
        theirs.lm_head.weight.copy_(op.linear.weight)
        return op(x), theirs(inputs_embeds=x).logits


@published("sequence_position", "GPT2Model without layers and norm (transformers)", "transformers")
def gpt2() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    module = package_module("transformers.models.gpt2.modeling_gpt2")
    theirs = (
        module.GPT2Model(module.GPT2Config(vocab_size=9, n_positions=20, n_embd=8, n_layer=0, n_head=2)).double().eval()
    )
    theirs.ln_f = nn.Identity()
    op, x = SequencePosition(dim=8, length=20).double(), torch.randn(2, 12, 8).double()
    with torch.no_grad():
        theirs.wpe.weight.copy_(op.table)
        return op(x), theirs(inputs_embeds=x).last_hidden_state
