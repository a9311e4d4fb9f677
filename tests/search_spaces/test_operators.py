"""Every registered operator: builds at all its sizes, keeps shapes, costs what it says; cores against slow references."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from search_spaces import OperatorSpec, SpaceError, build_operator, cost, get_space
from search_spaces.build import operator_axes, operator_layout
from search_spaces.layout import layout_shape
from search_spaces.operators import Operator, get_operator, operator_names, register
from search_spaces.operators.ssd import chunk_length, ssd_scan

SPECS: dict[str, list[OperatorSpec]] = {}
for preset in ("tiny", "mobile"):
    for spec in get_space(f"hybrid-vision/{preset}").specs():
        SPECS.setdefault(spec.name, []).append(spec)


def spread(name: str, count: int = 5) -> list[OperatorSpec]:
    """A few specs of an operator, smallest and largest among them, on small images (one of them not square)."""
    specs = sorted(SPECS[name], key=lambda spec: cost(spec).macs)
    chosen = specs[:: max(len(specs) // count, 1)] + specs[-1:]
    sides = [(9, 6), (8, 8), (12, 12)]
    return [OperatorSpec(s.name, s.sizes, (s.shape[0], *sides[i % 3])) for i, s in enumerate(chosen)]


def test_every_operator_is_used_by_a_shipped_space() -> None:
    assert set(operator_names()) == set(SPECS)


@pytest.mark.parametrize("name", operator_names())
def test_runs_forward_and_backward_with_finite_gradients(name: str) -> None:
    for spec in spread(name):
        module = build_operator(spec)
        x = torch.randn(2, *spec.shape, requires_grad=True)
        y = module(x)
        if get_operator(name).role in ("mixer", "channel_mixer"):
            assert y.shape == x.shape
        y.square().mean().backward()
        assert torch.isfinite(x.grad).all()
        assert all(torch.isfinite(p.grad).all() for p in module.parameters())


@pytest.mark.parametrize("name", operator_names())
def test_layout_names_every_parameter_with_its_true_shape(name: str) -> None:
    for spec in spread(name):
        layouts, axes = operator_layout(name), operator_axes(spec)
        with torch.device("meta"):
            module = build_operator(spec)
        tensors = dict(module.named_parameters()) | {k: b for k, b in module.named_buffers() if b.ndim}
        assert set(tensors) <= set(layouts)
        for key, tensor in tensors.items():
            assert layout_shape(layouts[key], axes) == tuple(tensor.shape), key


@pytest.mark.parametrize("name", operator_names())
def test_cost_formulas_equal_what_torch_counts(name: str) -> None:
    for spec in [*spread(name), *SPECS[name][:: max(len(SPECS[name]) // 4, 1)]]:
        with torch.device("meta"):
            module = build_operator(spec).eval()
            x = torch.randn(1, *spec.shape)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(x)
        counted = cost(spec)
        assert counter.get_total_flops() == 2 * counted.macs, spec
        assert counted.parameters == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", operator_names())
def test_activations_equal_the_outputs_of_convolutions_and_products(name: str) -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    counted_ops = {"convolution", "mm", "bmm", "addmm", "baddbmm"}

    class Count(TorchDispatchMode):
        total = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if func._schema.name.removeprefix("aten::") in counted_ops:
                Count.total += out.numel()
            return out

    for spec in spread(name):
        module = build_operator(spec).eval()
        Count.total = 0
        with torch.no_grad(), Count():
            module(torch.randn(1, *spec.shape))
        assert Count.total == cost(spec).activations, spec


@pytest.mark.parametrize("name", ["mbconv", "convnext", "short_conv", "mlp", "gated_mlp", "conv_stem", "strided_conv"])
def test_macs_equal_those_that_fvcore_counts(name: str) -> None:
    """A second, independent counter for operators made of convolutions and linear maps only."""
    from fvcore.nn import FlopCountAnalysis

    for spec in spread(name):
        analysis = FlopCountAnalysis(build_operator(spec).eval(), torch.randn(1, *spec.shape))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        counted = analysis.by_operator()
        assert counted["conv"] + counted["linear"] == cost(spec).macs, spec


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


def test_attention_equals_torchs_own() -> None:
    from search_spaces.operators.attention import MultiHeadAttention, ReluAttention

    q, k, v = torch.randn(3, 2, 3, 20, 8).double()
    attention = MultiHeadAttention(dim=8, heads=3, head_dim=8)
    wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(attention.attend(q, k, v), wanted)
    weights = torch.relu(q) @ torch.relu(k).mT  # the quadratic form of the linear one
    wanted = (weights @ v) / (weights.sum(-1, keepdim=True) + 1e-6)
    torch.testing.assert_close(ReluAttention(dim=8, heads=3, head_dim=8).attend(q, k, v), wanted)


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
