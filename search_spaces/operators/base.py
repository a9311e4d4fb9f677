"""What an operator is: an ordinary module, a layout that names the axes of its parameters, and its cost in numbers."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

ROLES = ("mixer", "channel_mixer", "stem", "downsample", "head")
FAMILIES = ("conv", "attention", "ssm", "linear attention", "mlp", "other")


class Operator(nn.Module):
    """Base of every operator: maps ``(B, C, H, W)`` to ``(B, C', H', W')`` (the head gives ``(B, classes)``).

    A subclass takes only integer sizes as keyword arguments and is written for fixed sizes; it needs no elastic code.
    It declares:

    * ``layout``: for every parameter and buffer, the names of its axes. ``"(heads head_dim) dim"`` is a matrix whose rows
      group two axes; a slice keeps the first entries of each named axis, ``kernel@centre`` the middle ones and
      ``kernel@last`` the last ones; a number is an axis that is never sliced.
    * ``axes``: the length of every axis that is not itself a constructor argument.
    * ``work``: multiply-accumulates and activations on an input of a given height and width.
    """

    name: ClassVar[str] = ""
    role: ClassVar[str] = ""
    family: ClassVar[str] = "other"
    prenorm: ClassVar[str | None] = "layer"  # the norm of the residual shell around mixers: "layer", "batch" or None
    layout: ClassVar[dict[str, str]] = {}

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        """Axis name -> length at these sizes; extend it with derived axes such as ``hidden``."""
        return dict(sizes)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        """(MACs, activations) for one input of ``height`` x ``width``: multiply-accumulates of convolutions, linear maps
        and matrix products, and the number of values these write."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> ``(B, C', H', W')``."""
        raise NotImplementedError
