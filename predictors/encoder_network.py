"""The network that reads tokens: attention in both directions that knows how operators are wired, then pooling."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from predictors.token_sequences import ABSENT, PLACE, WIDTH

DIM = 32
HEADS = 4
LAYERS = 2
EMBEDDING = 48
KNOWN = 4  # scores of other tasks that it can keep
FAR = -1e4  # a score of attention that is as good as none


class Block(nn.Module):
    """Pre-norm attention whose scores also depend, in each head, on what one token is to the other; then an MLP.

    The biases are those of a relation-aware transformer (Shaw et al., NAACL 2018, arXiv 1803.02155, with a scalar a head).
    """

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mlp_norm = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.qkv, self.out = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.relation = nn.Linear(ABSENT, HEADS, bias=False)
        self.mlp = nn.Sequential(nn.Linear(DIM, 2 * DIM), nn.GELU(), nn.Linear(2 * DIM, DIM))

    def forward(self, x: Tensor, relations: Tensor, absent: Tensor) -> Tensor:
        """``x`` (B, L, DIM), ``relations`` (B, L, L, ABSENT) one-hot, ``absent`` (B, 1, 1, L) -> (B, L, DIM)."""
        batch, length, _ = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(batch, length, 3, HEADS, DIM // HEADS).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * (DIM // HEADS) ** -0.5 + self.relation(relations).permute(0, 3, 1, 2)
        mixed = scores.masked_fill(absent, FAR).softmax(-1) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, DIM))
        return x + self.mlp(self.mlp_norm(x))


class Encoder(nn.Module):
    """Tokens -> an embedding of the architecture, (B, EMBEDDING); about 24,000 weights, drawn by ``generator``."""

    def __init__(self, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.centre: Tensor
        self.spread: Tensor
        self.known: Tensor
        self.register_buffer("centre", torch.zeros(WIDTH + PLACE))
        self.register_buffer("spread", torch.ones(WIDTH + PLACE))
        self.register_buffer("known", torch.zeros(EMBEDDING + 1, KNOWN))  # lines to what it was taught of other tasks
        self.read = nn.Linear(WIDTH + PLACE, DIM)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(DIM)
        self.pool = nn.Linear(3 * DIM, EMBEDDING)
        for name, value in self.named_parameters():
            if "relation" in name:
                nn.init.normal_(value, std=2.0, generator=generator)  # heads start by looking at different relations
            elif value.ndim == 2:
                nn.init.uniform_(value, -(value.shape[1] ** -0.5), value.shape[1] ** -0.5, generator=generator)
            elif "norm" not in name:
                nn.init.zeros_(value)

    def forward(self, tokens: Tensor, there: Tensor, relations: Tensor) -> Tensor:
        """``tokens`` (B, L, WIDTH + PLACE), ``there`` (B, L), ``relations`` (B, L, L, ABSENT) one-hot."""
        x = self.read(((tokens - self.centre) / self.spread).clamp(-5, 5))
        absent = ~there[:, None, None, :]
        for block in self.blocks:
            x = block(x, relations, absent)
        x = self.norm(x) * there[..., None]
        total = x.sum(1)
        mean = total / there.sum(1, keepdim=True).clamp(min=1)
        most = torch.where(there[..., None], x, -5.0).amax(1)
        return torch.tanh(self.pool(torch.cat((mean, most, total / 8), -1)))


def ranking_loss(guess: Tensor, true: Tensor) -> Tensor:
    """Mean logistic loss of the order of all pairs of ``guess`` (B,), weighed by how far apart they are in ``true`` (B,)
    (RankNet; Burges et al., ICML 2005)."""
    apart = true[:, None] - true[None, :]
    weight = apart.abs().triu(1)
    loss = F.softplus(-(guess[:, None] - guess[None, :]) * apart.sign() * 2.0)
    return (weight * loss).sum() / weight.sum().clamp(min=1e-9)
