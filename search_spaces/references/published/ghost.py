"""The ghost bottleneck against two of timm's ghost modules."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.operators.ghost import Ghost
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("ghost", "GhostModule twice (timm, GhostNet)", "timm")
def ghostnet() -> tuple[Tensor, Tensor]:
    """Theirs have a norm in place of a bias after each convolution, and the halves of the output one after the other."""
    torch.manual_seed(0)
    ours = Ghost(dim=16, expansion=4, kernel=3).double()
    module = package_module("timm.models.ghostnet").GhostModule
    first, second = module(16, 64).double().eval(), module(64, 16, act_layer=_Pass).double().eval()
    pairs = (
        (ours.up, first.primary_conv),
        (ours.up_ghost, first.cheap_operation),
        (ours.down, second.primary_conv),
        (ours.down_ghost, second.cheap_operation),
    )
    for mine, other in pairs:
        other[0].weight.copy_(mine.weight)
        other[1].running_var.fill_(1 - other[1].eps)
        other[1].bias.copy_(mine.bias)
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    return torch.cat([ours(x)[:, 0::2], ours(x)[:, 1::2]], 1), second(first(x))


class _Pass(nn.Identity):
    """No activation, with the argument that they give to one."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
