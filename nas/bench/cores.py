"""Claim: the linear mixers' cores cost a fraction of softmax attention, and of their own recurrences, forward and backward."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from hardware.statistics import median_interval
from hardware.timing import no_garbage_collection
from nas.bench import recurrences
from nas.errors import JobError
from nas.progress import Progress
from search_spaces.operators.gated_delta import gated_delta_scan
from search_spaces.operators.mamba import selective_scan
from search_spaces.operators.ssd import nc_ssd, ssd_scan

HEADS, HEAD_DIM, STATE, MAMBA_STATE = 6, 64, 64, 16
WARM_UP = 3


def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PyTorch's own fused softmax attention, heads where the other cores have them."""
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)


def relu_linear(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """ReLU linear attention, as in `search_spaces.operators.attention.ReluAttention`."""
    q, k, v = (t.transpose(1, 2) for t in (q.relu(), k.relu(), v))
    total = q @ k.sum(2, keepdim=True).transpose(-2, -1)
    return ((q @ (k.transpose(-2, -1) @ v)) / (total + 1e-6)).transpose(1, 2)


@dataclass
class Case:
    """A core, the loop that it must equal (None for attention), its inputs, and what timing found."""

    name: str
    core: Callable[..., Tensor]
    loop: Callable[..., Tensor] | None
    inputs: tuple[Tensor, ...]
    gradient: Tensor = field(default_factory=lambda: torch.empty(0))
    seconds: list[float] = field(default_factory=list)
    loop_seconds: list[float] = field(default_factory=list)

    def timed(self, function: Callable[..., Tensor]) -> float:
        """Seconds of one forward and backward pass."""
        on_gpu = self.inputs[0].is_cuda
        start = time.perf_counter()
        torch.autograd.grad(function(*self.inputs), self.inputs, self.gradient)
        if on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter() - start


def cases(tokens: int, batch: int, device: str, seed: int) -> list[Case]:
    """All cores on random inputs: 6 heads of 64 channels, states of 64 (16 for Mamba, whose state is every channel's own).
    On a GPU values are bfloat16 where the core allows it."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, half: bool = True) -> Tensor:
        t = torch.randn(batch, tokens, *shape, generator=generator)
        return t.to(device, torch.bfloat16 if half and device != "cpu" else torch.float32)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(batch, tokens, *shape, generator=generator).to(device)

    inner, full = HEADS * HEAD_DIM, (HEADS, HEAD_DIM)
    unit = [F.normalize(normal(*full, half=False), dim=-1) for _ in range(2)]
    rates = -torch.arange(1.0, MAMBA_STATE + 1).repeat(inner, 1).to(device)
    maps = [normal(MAMBA_STATE, half=False) for _ in range(2)]
    found = [
        Case("sdpa", sdpa, None, (normal(*full), normal(*full), normal(*full))),
        Case("ssd", ssd_scan, recurrences.ssd, (normal(*full), -uniform(HEADS), normal(STATE), normal(STATE))),
        Case(
            "nc_ssd",
            nc_ssd,
            recurrences.nc_ssd,
            (normal(*full), normal(HEADS).abs() / tokens, normal(STATE), normal(STATE)),
        ),
        Case(
            "gated_delta",
            gated_delta_scan,
            recurrences.gated_delta,
            (*unit, normal(*full, half=False), uniform(HEADS), -uniform(HEADS)),
        ),
        Case("relu_linear", relu_linear, recurrences.relu_linear, (normal(*full), normal(*full), normal(*full))),
        Case(
            "mamba",
            selective_scan,
            recurrences.mamba,
            (normal(inner, half=False), 0.1 * uniform(inner), rates, *maps),
        ),
    ]
    for case in found:
        case.inputs = tuple(t.detach().requires_grad_() for t in case.inputs)
        shape = case.core(*case.inputs)
        case.gradient = torch.randn(shape.shape, generator=generator).to(shape)
    return found


def bench_cores(
    tokens: Sequence[int], batch: int, repeats: int, loop_repeats: int, device: str, seed: int, progress: Progress
) -> dict[str, Any]:
    """Forward and backward of every core, in turn, ``repeats`` times, its recurrence in ``loop_repeats`` of these rounds.
    Ratios are within a round, so that a machine that drifts moves both sides.

    On ``cuda`` cores are compiled, recurrences left out, and the share of the card's own matrix-product limit is given.

    Returns:
        ``<core>_over_sdpa_<tokens>`` and ``<core>_over_recurrence_<tokens>`` (median ratios), max_relative_error (cores
        against recurrences, fp32), the conditions, and rows: one a core and number of tokens, with 95 % intervals.

    Raises:
        JobError: ``cuda`` is asked for and there is none.
    """
    if device != "cpu" and not torch.cuda.is_available():
        raise JobError(f"--device: got {device!r}, and PyTorch sees no such device; legal here: cpu")
    figures: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    worst = 0.0
    for length in tokens:
        found = cases(length, batch, device, seed)
        if device == "cpu":
            worst = max([worst, *(_error(case) for case in found if case.loop)])
        else:
            for case in found:
                case.core = torch.compile(case.core)
        _time(found, repeats, loop_repeats if device == "cpu" else 0, progress.task(f"{length} tokens", repeats))
        for case in found:
            row = _row(case, found[0], length)
            if device != "cpu":
                row["share_of_matmul_limit"] = _share(case)
            rows.append(row)
            for name in ("over_sdpa", "over_recurrence", "share_of_matmul_limit"):
                if name in row and case.loop:
                    figures[f"{case.name}_{name}_{length}"] = row[name]
    conditions = {
        "device": torch.cuda.get_device_name() if device != "cpu" else "cpu",
        "threads": torch.get_num_threads(),
        "batch": batch,
        "repeats": repeats,
        "torch": torch.__version__,
    }
    return {**figures, "max_relative_error": worst if device == "cpu" else None, **conditions, "rows": rows}


def _error(case: Case) -> float:
    assert case.loop is not None
    with torch.no_grad():
        wanted = case.loop(*case.inputs)
        return float((case.core(*case.inputs) - wanted).abs().max() / wanted.abs().max())


def _time(found: list[Case], repeats: int, loop_repeats: int, advance: Callable[..., None]) -> None:
    for case in found:
        for _ in range(WARM_UP):
            case.timed(case.core)
    every = repeats // loop_repeats if loop_repeats else repeats + 1
    with no_garbage_collection():
        for done in range(repeats):
            for case in found:
                case.seconds.append(case.timed(case.core))
                if case.loop and done % every == 0 and len(case.loop_seconds) < loop_repeats:
                    case.loop_seconds.append(case.timed(case.loop))
            advance(done + 1)


def _row(case: Case, attention: Case, tokens: int) -> dict[str, Any]:
    row: dict[str, Any] = {"core": case.name, "tokens": tokens, **_spread("ms", np.array(case.seconds) * 1e3)}
    row |= _spread("over_sdpa", np.array(case.seconds) / np.array(attention.seconds))
    if case.loop_seconds:
        every = len(case.seconds) // len(case.loop_seconds)
        beside = np.array(case.seconds[::every][: len(case.loop_seconds)])
        row |= _spread("recurrence_ms", np.array(case.loop_seconds) * 1e3)
        row |= _spread("over_recurrence", beside / np.array(case.loop_seconds))
    return row


def _spread(name: str, values: np.ndarray) -> dict[str, float]:
    """Median and its 95 % interval."""
    low, high = median_interval(values)
    return {name: float(np.median(values)), f"{name}_low": low, f"{name}_high": high}


def _share(case: Case, side: int = 8192) -> float:
    """Matrix-product operations a second, forward and backward, over those of one large product of the same type."""
    with FlopCounterMode(display=False) as counter:
        case.core(*case.inputs)
    a = torch.randn(side, side, device=case.inputs[0].device, dtype=case.inputs[0].dtype)
    times = []
    for _ in range(10):
        torch.cuda.synchronize()
        start = time.perf_counter()
        a @ a
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    limit = 2 * side**3 / float(np.median(times))
    return 3 * counter.get_total_flops() / float(np.median(case.seconds)) / limit
