"""Cores of operators against slow references, and the registry. The contract of every operator: test_conformance."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from search_spaces import OperatorSpec, SpaceError, build_operator
from search_spaces.operators import Operator, get_operator, register
from search_spaces.operators.ssd import chunk_length, ssd_scan


def recurrence(x: Tensor, log_decay: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """h[t] = exp(log_decay[t]) h[t-1] + b[t] x[t]; y[t] = c[t] h[t], one step after another, in float64."""
    x, log_decay, b, c = (t.double() for t in (x, log_decay, b, c))
    state = torch.zeros(x.shape[0], x.shape[2], x.shape[3], b.shape[2], dtype=torch.float64)
    out = []
    for t in range(x.shape[1]):
        state = log_decay[:, t, :, None, None].exp() * state + x[:, t, :, :, None] * b[:, t, None, None, :]
        out.append((state * c[:, t, None, None, :]).sum(-1))
    return torch.stack(out, 1)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 150), st.integers(1, 3), st.floats(0.0, 30.0), st.integers(0, 2**31))
def test_ssd_scan_equals_the_recurrence(tokens: int, heads: int, rate: float, seed: int) -> None:
    """Also for decays so strong that a plain cumulative product would overflow."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, tokens, heads, 4, generator=generator)
    b, c = torch.randn(2, 2, tokens, 5, generator=generator)
    log_decay = -rate * torch.rand(2, tokens, heads, generator=generator)
    wanted = recurrence(x, log_decay, b, c)
    got = ssd_scan(x, log_decay, b, c)
    assert (got - wanted).abs().max() <= 1e-4 * wanted.abs().max().clamp(min=1)


@given(st.integers(1, 5000))
def test_chunks_cover_the_tokens_and_are_short(tokens: int) -> None:
    length = chunk_length(tokens)
    assert 1 <= length <= 64
    assert length * -(-tokens // length) - tokens < length


def test_two_directional_ssd_treats_both_ends_alike() -> None:
    """With equal parameters in both directions, reversing the tokens of a 1-D image reverses the output."""
    from search_spaces.operators.ssd_mixers import SSD

    torch.manual_seed(0)
    ssd = SSD(dim=8, heads=2, head_dim=4, state=4, scans=2).eval()
    with torch.no_grad():
        for parameter in (ssd.step_bias, ssd.log_rate):
            parameter[1] = parameter[0]
        for conv in (ssd.conv, ssd.maps_conv):  # a mirror-symmetric depthwise kernel
            conv.weight.add_(conv.weight.flip(2, 3).clone())
        x = torch.randn(1, 8, 1, 70)
        torch.testing.assert_close(ssd(x.flip(3)), ssd(x).flip(3), rtol=1e-4, atol=1e-5)


def test_non_causal_ssd_equals_the_sum_over_tokens() -> None:
    from search_spaces.operators.ssd_mixers import NonCausalSSD

    torch.manual_seed(0)
    mixer = NonCausalSSD(dim=8, heads=2, head_dim=4, state=3).double()
    values, step = torch.randn(2, 10, 2, 4).double(), torch.randn(2, 10, 2).double()
    b, c = torch.randn(2, 2, 10, 3).double()
    weight = torch.log1p((step + mixer.step_bias[0]).exp()) * mixer.log_rate[0].exp()
    state = sum(weight[:, t, :, None, None] * values[:, t, :, :, None] * b[:, t, None, None, :] for t in range(10)) / 10
    wanted = torch.stack([(state * c[:, t, None, None, :]).sum(-1) for t in range(10)], 1)
    torch.testing.assert_close(mixer.mix(values, step, b, c, 2, 5), wanted)


def test_registry_refuses_a_taken_name_and_a_wrong_role() -> None:
    taken = type("Taken", (Operator,), {"name": "mhsa", "role": "mixer"})
    with pytest.raises(SpaceError, match="taken"):
        register(taken)
    wrong = type("Wrong", (Operator,), {"name": "wrong_role", "role": "mixxer"})
    with pytest.raises(SpaceError, match="legal: mixer"):
        register(wrong)
    with pytest.raises(SpaceError, match="did you mean 'mhsa'"):
        get_operator("mhsaa")


def test_wrong_sizes_are_refused_by_name() -> None:
    with pytest.raises(SpaceError, match="legal: \\['dim', 'head_dim', 'heads'\\]"):
        build_operator(OperatorSpec.of("mhsa", (8, 4, 4), dim=8))
