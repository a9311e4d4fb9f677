"""Channel mixers over sequences against transformers' and timm's."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.sequence_mlp import SequenceMLP, SequenceSwiGLU
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("sequence_swiglu", "LlamaMLP (transformers)", "transformers")
def llama() -> tuple[Tensor, Tensor]:
    package = package_module("transformers.models.llama.modeling_llama")
    theirs = package.LlamaMLP(package.LlamaConfig(hidden_size=6, intermediate_size=12, num_attention_heads=2)).double()
    torch.manual_seed(0)
    op, x = SequenceSwiGLU(dim=6, ratio=2).double(), torch.randn(2, 9, 6).double()
    with torch.no_grad():
        gate, up = op.gate_up.weight.chunk(2)
        theirs.gate_proj.weight.copy_(gate)
        theirs.up_proj.weight.copy_(up)
        theirs.down_proj.weight.copy_(op.down.weight)
        return op(x), theirs(x)


@published("sequence_mlp", "Mlp without biases (timm)", "timm")
def timm_mlp() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, theirs = SequenceMLP(dim=6, ratio=4).double(), package_module("timm.layers").Mlp(6, 24, bias=False).double()
    theirs.load_state_dict({k.replace("up", "fc1").replace("down", "fc2"): v for k, v in op.state_dict().items()})
    x = torch.randn(2, 9, 6).double()
    with torch.no_grad():
        return op(x), theirs(x)
