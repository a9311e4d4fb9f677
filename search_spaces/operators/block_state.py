"""Block-state attention: tokens attend inside their block, and to states that summarise all blocks before it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.layers import full_precision
from search_spaces.operators.legal import require
from search_spaces.operators.registry import register
from search_spaces.operators.sequence_layers import MASKED, SequenceMixer, positions, rotary_angles, rotate

SINGLE_HEAD, MULTI_HEAD, MULTI_FILTER = 0, 1, 2


@register
class BlockState(SequenceMixer):
    """Block-State Transformer layer (Fathi et al., arXiv 2306.09539). A state-space model (``states`` exponential filters over
    the tokens) gives ``states`` context vectors for each block of ``window`` tokens; a token attends to its own block up to
    itself, with rotary positions, and separately to the context; both results are projected together. No block waits for
    another. The three forms of the context, read from the filters' states with the matrix C ``(states, states)``:

    * 0, single-head: one output ``C[0] h`` at each of the last ``states`` tokens before the block;
    * 1, multi-head: ``states`` outputs ``C[i] h`` at the last token before the block;
    * 2, multi-filter: each filter's own state ``C[i, i] h[i]`` at that token.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head, even.
        window: tokens in a block.
        states: filters, and context vectors; at most ``window``.
        variant: of the context, 0, 1 or 2.
    """

    name, family = "sequence_block_state", "ssm"
    elastic = {"heads": (2, 4), "head_dim": (8, 16), "window": (8, 16, 32), "states": (4, 8), "variant": (0, 1, 2)}
    layout = {
        "query.weight": "(2 heads 2 half) dim",
        "key.weight": "(heads 2 half) dim",
        "value.weight": "(heads head_dim) dim",
        "context_key.weight": "(heads 2 half) dim",
        "context_value.weight": "(heads head_dim) dim",
        "log_rate": "states",
        "readout": "states states",
        "out.weight": "dim (2 heads head_dim)",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, window: int, states: int, variant: int) -> None:
        super().__init__()
        self.heads, self.head_dim, self.window, self.states, self.variant = heads, head_dim, window, states, variant
        inner = heads * head_dim
        self.query = nn.Linear(dim, 2 * inner, bias=False)
        self.key = nn.Linear(dim, inner, bias=False)
        self.value = nn.Linear(dim, inner, bias=False)
        self.context_key = nn.Linear(dim, inner, bias=False)
        self.context_value = nn.Linear(dim, inner, bias=False)
        self.log_rate = nn.Parameter(torch.linspace(math.log(0.003), math.log(0.3), states))
        self.readout = nn.Parameter(torch.eye(states) + torch.randn(states, states) / states)
        self.out = nn.Linear(2 * inner, dim, bias=False)

    def split(self, t: Tensor) -> Tensor:
        """``(B, L, heads * head_dim)`` -> ``(B, heads, L, head_dim)``."""
        return t.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)

    def reading(self, late: Tensor) -> Tensor:
        """Weight of filter s, ``late`` ``(states or 1, n)`` tokens after an input, in each context vector; 0 before the input.
        -> ``(states, n, states)``."""
        matrix = full_precision(self.readout)
        if self.variant == SINGLE_HEAD:
            matrix = matrix[:1]
        elif self.variant == MULTI_FILTER:
            matrix = matrix * torch.ones_like(matrix).tril().triu()
        return matrix.unsqueeze(1) * self.fade(late)

    def fade(self, late: Tensor) -> Tensor:
        """What is left in each filter of an input ``late`` tokens ago, on a new last axis; 0 for ``late`` below 0."""
        rate = full_precision(self.log_rate).exp()
        return (-late.clamp(min=0).unsqueeze(-1) * rate).exp() * (late + 1).clamp(0, 1).unsqueeze(-1)

    def contexts(self, u: Tensor) -> Tensor:
        """Inputs by blocks ``(B, blocks, window, dim)`` -> the context of each block ``(B, blocks, states, dim)``."""
        blocks, window = u.shape[1:3]
        place, block = positions(u, window), positions(u, blocks)
        ends = self.fade((window - 1) - place).t() @ u  # what each block adds, (B, blocks, states, dim)
        between = self.fade((block.unsqueeze(1) - 1 - block) * window).permute(2, 0, 1)  # (states, to, from)
        before = (between @ ends.transpose(1, 2)).transpose(1, 2)  # states of the filters before each block
        at = positions(u, self.states) + (window - self.states) if self.variant == SINGLE_HEAD else place[-1:]
        inside = self.reading(at.unsqueeze(1) - place).sum(-1)
        read = inside @ u + self.reading(at.unsqueeze(1) + 1).squeeze(1) @ before
        return F.pad(read[:, :-1], (0, 0, 0, 0, 1, 0))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | float = 0.0) -> Tensor:
        """Softmax attention, ``(B, heads, L, head_dim)`` -> ``(B, L, heads * head_dim)``."""
        scores = full_precision((q * self.head_dim**-0.5) @ k.transpose(-2, -1)) + bias
        return (scores.softmax(-1).to(v.dtype) @ v).transpose(1, 2).flatten(2)

    def mix(self, x: Tensor, k: Tensor, v: Tensor, context: Tensor, place: Tensor, bias: Tensor) -> Tensor:
        """Tokens ``(B, L, dim)`` at ``place`` in their block, its keys and values, and its context -> ``(B, L, dim)``."""
        own, cross = self.query(x).chunk(2, -1)
        own = rotate(self.split(own), rotary_angles(place, self.head_dim // 2).unsqueeze(1))
        context = context.to(x.dtype)
        context_k, context_v = self.split(self.context_key(context)), self.split(self.context_value(context))
        seen = self.attend(own, k, v, bias), self.attend(self.split(cross), context_k, context_v)
        return self.out(torch.cat(seen, -1))

    def keys(self, x: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Keys, turned by their ``place``, and values ``(B, heads, L, head_dim)``."""
        turn = rotary_angles(place, self.head_dim // 2).unsqueeze(1)
        return rotate(self.split(self.key(x)), turn), self.split(self.value(x))

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens = x.shape[:2]
        blocks = math.ceil(tokens / self.window)
        u = F.pad(x, (0, 0, 0, blocks * self.window - tokens)).unflatten(1, (blocks, self.window))
        context = self.contexts(full_precision(u)).flatten(0, 1)
        u, place = u.flatten(0, 1), positions(x, self.window)
        bias = (place - place.unsqueeze(1)).clamp(0, 1) * MASKED
        y = self.mix(u, *self.keys(u, place.unsqueeze(0)), context, place.unsqueeze(0), bias)
        return y.unflatten(0, (batch, blocks)).flatten(1, 2)[:, :tokens]

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        """Keys and values of the block; the filters' states; the context; the vectors that will be the next context; and
        the number of tokens so far."""
        weight = self.key.weight
        cache = weight.new_zeros(batch, self.heads, self.window, self.head_dim)
        rows = full_precision(weight).new_zeros(batch, self.states, weight.shape[1])
        return cache, cache.clone(), rows, rows.clone(), rows.clone(), rows.new_zeros(batch, 1)

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        keys, values, filters, context, following, count = state
        place = count - (count / self.window).floor() * self.window
        new = (1 - place).clamp(0, 1).unsqueeze(-1)  # 1 where a block begins
        context = new * following + (1 - new) * context
        k, v = self.keys(x.unsqueeze(1), place)
        keys, values = torch.cat([keys[:, :, 1:], k], 2), torch.cat([values[:, :, 1:], v], 2)
        distance = (self.window - 1) - positions(x, self.window)
        bias = ((distance - place).clamp(0, 1) * MASKED)[:, None, None]
        y = self.mix(x.unsqueeze(1), keys, values, context, place, bias).squeeze(1)
        one = torch.ones_like(distance[:1]).unsqueeze(0)
        filters = filters * self.fade(one).view(1, -1, 1) + full_precision(x).unsqueeze(1)
        read = self.reading(one - 1).squeeze(1) @ filters
        following = torch.cat([following[:, 1:], read], 1) if self.variant == SINGLE_HEAD else read
        return y, keys, values, filters, context, following, count + 1

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        return 2 * sizes["heads"] * sizes["head_dim"] * sizes["window"] + 3 * sizes["states"] * sizes["dim"] + 1

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "half": sizes["head_dim"] // 2}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **{**sizes, "variant": 1})
        require(sizes["variant"] in (0, 1, 2), cls, "variant", sizes["variant"], "0, 1, 2")
        require(sizes["states"] <= sizes["window"], cls, "states", sizes["states"], f"at most window {sizes['window']}")
        require(sizes["head_dim"] % 2 == 0, cls, "head_dim", sizes["head_dim"], "even numbers")

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        dim, heads, inner = sizes["dim"], sizes["heads"], sizes["heads"] * sizes["head_dim"]
        window, states = sizes["window"], sizes["states"]
        blocks = math.ceil(extent[0] / window)
        tokens, vectors = blocks * window, blocks * states
        macs = vectors * dim * (2 * window + blocks + states)
        macs += 2 * (tokens * (window + states) + vectors * dim) * inner + 6 * tokens * dim * inner
        writes = 4 * vectors * dim + 2 * vectors * inner
        return macs, writes + tokens * (heads * (window + states) + 6 * inner + dim)
