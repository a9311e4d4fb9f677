"""Channel mixers over sequences, token by token, and as images of one row."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.mlp import MLP, GatedMLP
from search_spaces.operators.sequence_mlp import SequenceMLP, SequenceSwiGLU
from search_spaces.references.mlp import gelu
from search_spaces.references.registry import degenerate, reference


@reference("sequence_mlp")
def sequence_mlp(op: SequenceMLP, x: Tensor) -> Tensor:
    return torch.stack([gelu(token @ op.up.weight.T) @ op.down.weight.T for token in x.unbind(1)], 1)


@reference("sequence_swiglu")
def sequence_swiglu(op: SequenceSwiGLU, x: Tensor) -> Tensor:
    gates, ups = op.gate_up.weight.unflatten(0, (2, -1))
    tokens = []
    for token in x.unbind(1):
        gate = token @ gates.T
        tokens.append((gate / (1 + torch.exp(-gate)) * (token @ ups.T)) @ op.down.weight.T)
    return torch.stack(tokens, 1)


def _as_image(image_op: torch.nn.Module, op: torch.nn.Module) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    for name, parameter in image_op.named_parameters():
        parameter.data = dict(op.named_parameters()).get(name, torch.zeros_like(parameter)).data
    x = torch.randn(2, 7, 6).double()
    with torch.no_grad():
        return op.double()(x), image_op.double()(x.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)


@degenerate("sequence_mlp", "a sequence as an image of one row, biases 0: mlp")
def mlp_of_a_row() -> tuple[Tensor, Tensor]:
    return _as_image(MLP(dim=6, ratio=2), SequenceMLP(dim=6, ratio=2))


@degenerate("sequence_swiglu", "a sequence as an image of one row, biases 0: gated_mlp")
def gated_mlp_of_a_row() -> tuple[Tensor, Tensor]:
    return _as_image(GatedMLP(dim=6, ratio=2), SequenceSwiGLU(dim=6, ratio=2))
