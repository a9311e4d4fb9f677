"""State-space duality: non-causal, chunked in two directions, and the same mixer without its state-space part."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.layers import RMSNorm, to_image, to_tokens
from search_spaces.operators.registry import register


def chunk_length(tokens: int, single: int = 64, longest: int = 32) -> int:
    """Tokens a chunk: one chunk up to ``single`` tokens (fewest calls), else chunks of at most ``longest``, of one length.

    On a CPU the work inside chunks grows with their length; 32 was fastest at 196 and 784 tokens.
    """
    return tokens if tokens <= single else math.ceil(tokens / math.ceil(tokens / longest))


def ssd_scan(x: Tensor, log_decay: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Causal state-space duality ``h[t] = exp(log_decay[t]) h[t-1] + b[t] x[t]``, ``y[t] = c[t] h[t]`` (Dao & Gu, Mamba-2,
    arXiv 2405.21060), by chunks and with matrix products only: no loop over tokens or chunks.

    Exponents are sums of ``log_decay <= 0`` and are cut off at 0 before ``exp``, so nothing overflows.

    Args:
        x: values ``(B, L, heads, head_dim)``.
        log_decay: ``(B, L, heads)``, at most 0, fp32.
        b, c: input and output maps of the state ``(B, L, state)``, shared by the heads.

    Returns:
        ``(B, L, heads, head_dim)``.
    """
    batch, tokens, heads, head_dim = x.shape
    length = chunk_length(tokens)
    chunks = math.ceil(tokens / length)
    pad = chunks * length - tokens
    if pad:
        x, log_decay = F.pad(x, (0, 0, 0, 0, 0, pad)), F.pad(log_decay, (0, 0, 0, pad))
        b, c = F.pad(b, (0, 0, 0, pad)), F.pad(c, (0, 0, 0, pad))
    x = x.reshape(batch, chunks, length, heads, head_dim).transpose(2, 3)
    b, c = b.reshape(batch, chunks, 1, length, -1), c.reshape(batch, chunks, 1, length, -1)
    lower = torch.ones(length, length, dtype=x.dtype, device=x.device).tril()
    total = (lower @ log_decay.reshape(batch, chunks, length, heads)).transpose(2, 3)  # running sums in each chunk
    decay = (total.unsqueeze(-1) - total.unsqueeze(-2)).clamp(max=0.0).exp() * lower
    y = ((c @ b.transpose(-2, -1)) * decay) @ x
    if chunks > 1:
        end = total[..., -1:]
        states = b.transpose(-2, -1) @ (
            x * (end - total).exp().unsqueeze(-1)
        )  # what each chunk adds: (B, n, heads, state, dim)
        strict = torch.ones(chunks, chunks, dtype=x.dtype, device=x.device).tril(-1)
        ends = end.squeeze(-1).transpose(1, 2).unsqueeze(-1)  # (B, heads, n, 1)
        before = strict @ ends  # sum of the chunks before each one
        between = (before - (before + ends).transpose(-2, -1)).clamp(max=0.0).exp() * strict
        carried = between @ states.transpose(1, 2).flatten(3)
        carried = carried.unflatten(3, states.shape[3:]).transpose(1, 2)
        y = y + (c @ carried) * total.exp().unsqueeze(-1)
    return y.transpose(2, 3).reshape(batch, chunks * length, heads, head_dim)[:, :tokens]


class _GatedMixer(Operator):
    """The shell of the Mamba-2 mixer: gate and values, a depthwise 3x3 convolution, a core, gated norm, projection.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
    """

    role = "mixer"
    elastic = {"heads": (2, 4, 6), "head_dim": (8, 16)}
    layout = {
        "gate_values.weight": "(2 heads head_dim) dim",
        "conv.weight": "(heads head_dim) 1 3 3",
        "conv.bias": "(heads head_dim)",
        "norm.weight": "(heads head_dim)",
        "out.weight": "dim (heads head_dim)",
    }

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads, self.head_dim = heads, head_dim
        self.gate_values = nn.Linear(dim, 2 * inner, bias=False)
        self.conv = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.norm = RMSNorm(inner)
        self.out = nn.Linear(inner, dim, bias=False)

    def core(self, values: Tensor, tokens: Tensor, height: int, width: int) -> Tensor:
        """Mixes ``values`` ``(B, L, inner)``, given the mixer's input ``tokens`` ``(B, L, dim)``."""
        return values

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        tokens = to_tokens(x)
        gate, values = self.gate_values(tokens).chunk(2, -1)
        values = to_tokens(F.silu(self.conv(to_image(values, height, width))))
        mixed = self.core(values, tokens, height, width)
        return to_image(self.out(self.norm(mixed * F.silu(gate))), height, width)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, inner = height * width, sizes["dim"], sizes["heads"] * sizes["head_dim"]
        return tokens * (3 * dim * inner + 9 * inner), tokens * (3 * inner + dim)


@register
class GatedConv(_GatedMixer):
    """The Mamba-2 mixer without its state-space part, as MambaOut does (Yu & Wang, arXiv 2405.07992): the control."""

    name, family = "gated_conv", "conv"


class _StateSpace(_GatedMixer):
    """Adds the state's input and output maps B and C (one group) and the step sizes; ``scans`` directions.

    Args:
        state: size of the state of each channel.
    """

    family = "ssm"
    elastic = {**_GatedMixer.elastic, "state": (8, 16)}
    scans = 1
    layout = {
        **_GatedMixer.layout,
        "maps.weight": "(2 state) dim",
        "maps_conv.weight": "(2 state) 1 3 3",
        "maps_conv.bias": "(2 state)",
        "step.weight": "heads dim",
        "step_bias": "scans heads",
        "log_rate": "scans heads",
        "skip": "heads 1",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, state: int) -> None:
        super().__init__(dim, heads, head_dim)
        self.maps = nn.Linear(dim, 2 * state, bias=False)
        self.maps_conv = nn.Conv2d(2 * state, 2 * state, 3, padding=1, groups=2 * state)
        self.step = nn.Linear(dim, heads, bias=False)
        steps = torch.logspace(-3, -1, heads).expand(self.scans, heads)  # step sizes from 0.001 to 0.1, as in Mamba
        self.step_bias = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))  # the inverse of softplus
        self.log_rate = nn.Parameter(torch.linspace(1, 16, heads).log().expand(self.scans, heads).clone())
        self.skip = nn.Parameter(torch.ones(heads, 1))

    def mix(self, values: Tensor, step: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """values ``(B, L, heads, head_dim)``, step before its bias ``(B, L, heads)``, b and c ``(B, L, state)``."""
        raise NotImplementedError

    def core(self, values: Tensor, tokens: Tensor, height: int, width: int) -> Tensor:
        maps = F.silu(self.maps_conv(to_image(self.maps(tokens), height, width)))
        b, c = to_tokens(maps).chunk(2, -1)
        values = values.unflatten(-1, (self.heads, self.head_dim))
        return (self.mix(values, self.step(tokens), b, c) + self.skip * values).flatten(2)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "scans": cls.scans}

    @classmethod
    def _shell(cls, tokens: int, **sizes: int) -> tuple[int, int]:
        macs, activations = _GatedMixer.work(tokens, 1, **sizes)
        dim, state, heads = sizes["dim"], sizes["state"], sizes["heads"]
        return macs + tokens * (2 * state * (dim + 9) + heads * dim), activations + tokens * (4 * state + heads)


@register
class NonCausalSSD(_StateSpace):
    """Non-causal state-space duality of VSSD (Shi et al., arXiv 2407.18559): every token adds to one state, weighted by its
    own decay; no scan, no direction. The sum is divided by the number of tokens, so it does not grow with resolution."""

    name = "nc_ssd"

    def mix(self, values: Tensor, step: Tensor, b: Tensor, c: Tensor) -> Tensor:
        weight = F.softplus(step + self.step_bias[0]) * self.log_rate[0].exp()
        weighted = (values * weight.unsqueeze(-1)).flatten(2)
        state = b.transpose(1, 2) @ weighted / values.shape[1]
        return (c @ state).unflatten(-1, (self.heads, self.head_dim))

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, state, inner = height * width, sizes["state"], sizes["heads"] * sizes["head_dim"]
        macs, activations = cls._shell(tokens, **sizes)
        return macs + 2 * tokens * state * inner, activations + inner * (state + tokens)


@register
class SSD(_StateSpace):
    """Mamba-2's chunked state-space duality (Dao & Gu, arXiv 2405.21060) run over the tokens in both directions, each with
    its own decay and step bias; the two are averaged."""

    name, scans = "ssd", 2

    def mix(self, values: Tensor, step: Tensor, b: Tensor, c: Tensor) -> Tensor:
        outputs = []
        for scan in range(self.scans):
            size = F.softplus(step + self.step_bias[scan])
            inputs = [values * size.unsqueeze(-1), -size * self.log_rate[scan].exp(), b, c]
            if scan:
                inputs = [t.flip(1) for t in inputs]
            y = ssd_scan(*inputs)
            outputs.append(y.flip(1) if scan else y)
        return sum(outputs[1:], outputs[0]) / self.scans

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, state, heads, head_dim = height * width, sizes["state"], sizes["heads"], sizes["head_dim"]
        inner, length = heads * head_dim, chunk_length(tokens)
        chunks = math.ceil(tokens / length)
        padded = chunks * length
        macs = padded * length * (heads + state + inner)  # running sums, c b^T and its product with the values
        writes = padded * (heads + length + inner)
        if chunks > 1:
            macs += 2 * padded * state * inner + heads * chunks * chunks + chunks * chunks * state * inner
            writes += 2 * chunks * state * inner + heads * chunks + padded * inner
        shell = cls._shell(tokens, **sizes)
        return shell[0] + cls.scans * macs, shell[1] + cls.scans * writes
