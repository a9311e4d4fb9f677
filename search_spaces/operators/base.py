"""What an operator is: an ordinary module, a layout that names the axes of its parameters, and its cost in numbers."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

# an "edge" is an operator between two points of a cell, without a residual of its own
ROLES = ("mixer", "channel_mixer", "stem", "downsample", "position", "edge", "head")
FAMILIES = ("conv", "attention", "ssm", "linear attention", "spectral", "mlp", "pool", "other")
DOMAINS = ("image", "sequence")


class Operator(nn.Module):
    """Base of every operator. Over images it maps ``(B, C, H, W)`` to ``(B, C', H', W')``, over sequences ``(B, L, C)`` to
    ``(B, L, C')``; a head gives ``(B, classes)`` or ``(B, L, classes)``.

    A subclass takes only integer sizes as keyword arguments (none called ``height`` or ``width``: those are the image's) and is
    written for fixed sizes; it needs no elastic code.
    It declares:

    * ``layout``: for every parameter and buffer, the names of its axes. ``"(heads head_dim) dim"`` is a matrix whose rows
      group two axes; a slice keeps the first entries of each named axis, ``kernel@centre`` the middle ones and
      ``kernel@last`` the last ones; a number is an axis that is never sliced.
    * ``axes``: the length of every axis that is not itself a constructor argument.
    * ``elastic``: for every size, the values that a space offers unless it says otherwise, ascending. ``dim`` may be left
      out: widths belong to the space.
    * ``work``: multiply-accumulates and activations on an input of given extent.
    * ``check``: which sizes and inputs are legal, where that is not all of them.

    A mixer that has a causal form (``causal = True``) over sequences also has a `decode` form, one token at a time.
    """

    name: ClassVar[str] = ""
    role: ClassVar[str] = ""
    family: ClassVar[str] = "other"
    domain: ClassVar[str] = "image"
    causal: ClassVar[bool] = False
    mixes_channels: ClassVar[bool] = False  # a mixer that does needs no channel mixer after it
    shell: ClassVar[bool] = True  # mixers and channel mixers stand in a pre-norm residual shell
    prenorm: ClassVar[str] = "layer"  # of that shell, over images: "layer" or "batch"
    layout: ClassVar[dict[str, str]] = {}
    elastic: ClassVar[dict[str, tuple[int, ...]]] = {}
    bf16_error: ClassVar[float] = 0.05  # accepted in bfloat16, relative to fp32
    not_deployable: ClassVar[dict[str, str]] = {}  # runtime -> why the operator cannot run there

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        """Axis name -> length at these sizes; extend it with derived axes such as ``hidden``."""
        return dict(sizes)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        """Raises `SpaceError`, naming the size and its legal values, where sizes and input ``shape`` do not go together."""

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        """Shape of the output, without the batch, for an input of ``shape``."""
        return shape

    @classmethod
    def work(cls, *extent: Any, **sizes: Any) -> tuple[int, int]:
        """(MACs, activations) for one input of ``extent``: ``height, width`` of an image or ``length`` of a sequence.

        Multiply-accumulates of convolutions, linear maps and matrix products, and the number of values these write.
        """
        raise NotImplementedError

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        """Values kept between two decoding steps for one sequence of at most ``context`` tokens."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> ``(B, C', H', W')``, or ``(B, L, C)`` -> ``(B, L, C')``."""
        raise NotImplementedError

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        """The state before the first token, for at most ``context`` tokens: tensors of fixed shape, batch first."""
        raise NotImplementedError

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """One token ``(B, C)`` and the state before it -> its output ``(B, C')`` and the state after it."""
        raise NotImplementedError
