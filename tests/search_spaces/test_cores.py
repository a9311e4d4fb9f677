"""The scan cores at any length, either way, and at decays that a plain cumulative product cannot hold."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from search_spaces.operators.gated_delta import gated_delta_scan
from search_spaces.operators.mamba import selective_scan
from search_spaces.operators.ssd import Way, chunk_length, scan_work, ssd_scan, ssd_ways
from search_spaces.references import delta_mixers, mamba_mixers, ssd_mixers

LENGTHS, RATES, SEEDS = st.integers(1, 150), st.sampled_from([0.0, 0.1, 3.0, 30.0]), st.integers(0, 2**31)


def order(tokens: int, backward: bool) -> list[int]:
    return list(range(tokens))[:: -1 if backward else 1]


def close(got: Tensor, wanted: Tensor) -> None:
    assert got.dtype == torch.float32
    assert (got.double() - wanted).abs().max() <= 1e-4 * wanted.abs().max().clamp(min=1)


def draw(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, *shape, generator=generator) for shape in shapes]


@settings(max_examples=30, deadline=None)
@given(LENGTHS, RATES, SEEDS)
def test_ways_sum_up_scans_in_both_directions(tokens: int, rate: float, seed: int) -> None:
    x, forward, back, b, c = draw(seed, (tokens, 3, 4), (tokens, 3), (tokens, 3), (tokens, 5), (tokens, 5))
    gains, decays = [forward.exp(), back.exp()], [-rate * forward.abs(), -rate * back.abs()]
    got = ssd_ways(x, b, c, Way(decays[0], gains[0]), Way(decays[1], gains[1], backward=True))
    wanted = torch.zeros(())
    for way in (0, 1):
        inputs = (t.double() for t in (x * gains[way].unsqueeze(-1), decays[way], b, c))
        wanted = wanted + ssd_mixers.recurrence(order(tokens, way == 1), *inputs)
    close(got, wanted)


@settings(max_examples=30, deadline=None)
@given(LENGTHS, RATES, SEEDS, st.booleans())
def test_gated_delta_equals_the_recurrence(tokens: int, rate: float, seed: int, backward: bool) -> None:
    q, k, v, beta, decay = draw(seed, (tokens, 3, 4), (tokens, 3, 4), (tokens, 3, 5), (tokens, 3), (tokens, 3))
    inputs = [q, torch.nn.functional.normalize(k, dim=-1), v, beta.sigmoid(), -rate * decay.abs()]
    wanted = delta_mixers.recurrence(order(tokens, backward), *(t.double() for t in inputs))
    close(gated_delta_scan(*inputs, backward=backward), wanted)


@settings(max_examples=30, deadline=None)
@given(LENGTHS, RATES, SEEDS, st.booleans())
def test_selective_scan_equals_the_recurrence(tokens: int, rate: float, seed: int, backward: bool) -> None:
    u, step, b, c = draw(seed, (tokens, 5), (tokens, 5), (tokens, 3), (tokens, 3))
    inputs = [u, step.abs(), -rate * torch.rand(5, 3), b, c]
    wanted = mamba_mixers.recurrence(order(tokens, backward), *(t.double() for t in inputs))
    close(selective_scan(*inputs, backward=backward), wanted)


@pytest.mark.parametrize("rate", [0.0, 1e3])
def test_gradients_are_finite_where_decays_are_extreme(rate: float) -> None:
    x, decay, b, c, v = draw(0, (100, 2, 4), (100, 2), (100, 3), (100, 3), (100, 4))
    decay = -rate * decay.abs()
    gain = torch.zeros_like(decay)  # a step that has vanished
    rates = -torch.full((4, 3), 1 + rate)
    runs = [
        (lambda *t: ssd_ways(t[0], t[2], t[3], Way(t[1], t[4], backward=True)), (x, decay, b, c, gain)),
        (gated_delta_scan, (x, torch.nn.functional.normalize(x, dim=-1), x, gain, decay)),
        (selective_scan, (v, v.abs(), rates, b, c)),
    ]
    for run, inputs in runs:
        leaves = [t.clone().requires_grad_() for t in inputs]
        gradients = torch.autograd.grad(run(*leaves).square().sum(), leaves)
        assert all(torch.isfinite(g).all() for g in gradients)


@given(st.integers(1, 100_000))
def test_chunks_are_few_and_cover_the_tokens(tokens: int) -> None:
    length = chunk_length(tokens)
    chunks = -(-tokens // length)
    assert chunks <= 128
    assert 0 <= length * chunks - tokens < length


@pytest.mark.parametrize("tokens", [1, 64, 65, 150])
def test_work_of_a_scan_is_what_torch_counts(tokens: int) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    x, decay, b, c = (t[:1] for t in draw(0, (tokens, 3, 4), (tokens, 3), (tokens, 5), (tokens, 5)))
    with FlopCounterMode(display=False) as counter:
        ssd_scan(x, -decay.abs(), b, c)
    assert counter.get_total_flops() == 2 * scan_work(tokens, 3, 4, 5)[0]
