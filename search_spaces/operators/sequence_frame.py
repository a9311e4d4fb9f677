"""The frame of a sequence network: embedding of tokens, learned positions, the identity, and the heads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.errors import SpaceError
from search_spaces.operators.base import Operator
from search_spaces.operators.layers import RMSNorm, full_precision
from search_spaces.operators.legal import require
from search_spaces.operators.registry import register
from search_spaces.operators.sequence_layers import SequenceMixer, positions


class _Stateless(Operator):
    """An operator that treats every token alone, so decoding is the operator itself."""

    domain, causal = "sequence", True

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        return ()

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        return (self(x.unsqueeze(1)).squeeze(1),)

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        return 0


@register
class ByteEmbedding(_Stateless):
    """A learned vector for each token number (a byte, or any other vocabulary), ``(B, L)`` -> ``(B, L, dim)``.

    Args:
        vocab: number of different tokens.
        dim: channels out.
    """

    name, role = "byte_embedding", "stem"
    elastic = {"vocab": (256,), "dim": (16, 32)}
    layout = {"table.weight": "vocab dim"}

    def __init__(self, vocab: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab, dim)
        nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        return self.table(x)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        if len(shape) != 1:
            raise SpaceError(f"operator {cls.name!r}: shape {shape}; legal: (length,)")
        for size, value in sizes.items():
            require(value >= 1, cls, size, value, "at least 1")

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        return (*shape, sizes["dim"])

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        return 0, 0


@register
class SequencePosition(Operator):
    """Adds a learned vector for each position (Vaswani et al., arXiv 1706.03762; GPT-2).

    Args:
        dim: channels in and out.
        length: most tokens of a sequence.
    """

    name, role, domain, causal = "sequence_position", "position", "sequence", True
    elastic = {"dim": (16, 32), "length": (256, 512)}
    layout = {"table": "length dim"}

    def __init__(self, dim: int, length: int) -> None:
        super().__init__()
        self.table = nn.Parameter(0.02 * torch.randn(length, dim))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table[: x.shape[1]]

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        """The number of tokens so far."""
        return (full_precision(self.table).new_zeros(batch, 1),)

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        places = positions(x, self.table.shape[0])
        here = (1 - (places - state[0]).abs()).clamp(min=0)  # 1 at the token's position: a product instead of a look-up
        return x + here.to(x.dtype) @ self.table, state[0] + 1

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        return 1

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        if len(shape) != 2 or shape[0] > sizes["length"]:
            raise SpaceError(
                f"operator {cls.name!r}: shape {shape}; legal: (length, dim), length at most {sizes['length']}"
            )

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        return 0, 0


@register
class SequenceIdentity(_Stateless, SequenceMixer):
    """Passes its input on. As a mixer it leaves only the layer's channel mixer.

    Args:
        dim: channels in and out.
    """

    name, shell = "sequence_identity", False

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        return 0, 0


class _Head(Operator):
    """RMS norm and a linear map.

    Args:
        dim: channels in.
        classes: scores out.
    """

    role, domain = "head", "sequence"
    elastic = {"dim": (16, 32), "classes": (10,)}
    layout = {"norm.weight": "dim", "linear.weight": "classes dim", "linear.bias": "classes"}

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.norm = RMSNorm(dim)
        self.linear = nn.Linear(dim, classes)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        if len(shape) != 2:
            raise SpaceError(f"operator {cls.name!r}: shape {shape}; legal: (length, dim)")
        for size, value in sizes.items():
            require(value >= 1, cls, size, value, "at least 1")


@register
class NextTokenHead(_Stateless, _Head):
    """RMS norm, then the scores of the token that follows each one, ``(B, L, dim)`` -> ``(B, L, vocab)``.

    Args:
        dim: channels in.
        vocab: number of different tokens.
    """

    name = "next_token_head"
    elastic = {"dim": (16, 32), "vocab": (256,)}
    layout = {"norm.weight": "dim", "linear.weight": "vocab dim"}

    def __init__(self, dim: int, vocab: int) -> None:
        super().__init__(dim, vocab)
        self.linear = nn.Linear(dim, vocab, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.norm(x))

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        return shape[0], sizes["vocab"]

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        return extent[0] * sizes["dim"] * sizes["vocab"], extent[0] * sizes["vocab"]


@register
class SequenceClassHead(_Head):
    """RMS norm, mean over the tokens, and the scores of the classes, ``(B, L, dim)`` -> ``(B, classes)``.

    Args:
        dim: channels in.
        classes: scores out.
    """

    name = "sequence_class_head"

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.norm(x).mean(1))

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        return (sizes["classes"],)

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        return sizes["dim"] * sizes["classes"], sizes["classes"]
