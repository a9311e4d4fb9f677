"""Subnet == extracted network, in values and in gradients; weights are shared exactly where they should be."""

import numpy as np
import pytest
import torch

from search_spaces import Supernet, build_network, get_space, make_space
from search_spaces.build import operator_axes, operator_layout
from search_spaces.layout import slice_view
from search_spaces.supernet import module_name

SPACE = make_space({"name": "hybrid-vision", "preset": "tiny", "resolutions": [8, 12], "in_channels": 2, "classes": 5})


@pytest.fixture(scope="module")
def supernet() -> Supernet:
    return Supernet(SPACE, seed=1)


def architectures(count: int, seed: int = 0):
    return [SPACE.architecture(row) for row in SPACE.sample(count, np.random.default_rng(seed))]


@pytest.mark.parametrize("training", [False, True])
def test_subnet_equals_extracted_network(supernet: Supernet, training: bool) -> None:
    supernet.train(training)
    for architecture in architectures(12):
        x = torch.randn(3, *architecture.input_shape)
        own = supernet.extract(architecture)
        torch.testing.assert_close(supernet.subnet(architecture)(x), own(x), rtol=1e-6, atol=1e-6)
        assert all(p.is_contiguous() for p in own.parameters())


def test_gradients_land_in_the_slices_of_the_supernet_and_nowhere_else(supernet: Supernet) -> None:
    supernet.train()
    largest = supernet._largest
    for architecture in architectures(12, seed=3):
        supernet.zero_grad(set_to_none=True)
        x = torch.randn(3, *architecture.input_shape)
        own = supernet.extract(architecture)
        own(x).square().sum().backward()
        supernet.subnet(architecture)(x).square().sum().backward()
        expected = {name: torch.zeros_like(p) for name, p in supernet.named_parameters()}
        for key, spec, *_ in architecture.nodes:
            module = own.get_submodule(module_name(key))
            for name, parameter in module.named_parameters():
                full = expected[f"operators.{module_name(key)}.{name}"]
                layout = operator_layout(spec.name)[name]
                view = slice_view(full, layout, operator_axes(largest[key]), operator_axes(spec))
                view.copy_(parameter.grad.reshape(view.shape))
        for name, parameter in supernet.named_parameters():
            got = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            torch.testing.assert_close(got, expected[name], rtol=1e-5, atol=1e-5, msg=name)


def test_gradients_of_several_subnets_add_up(supernet: Supernet) -> None:
    supernet.train()
    pair = architectures(2, seed=5)
    inputs = [torch.randn(2, *a.input_shape) for a in pair]
    single = []
    for architecture, x in zip(pair, inputs, strict=True):
        supernet.zero_grad()
        supernet.subnet(architecture)(x).sum().backward()
        single.append({n: p.grad.clone() for n, p in supernet.named_parameters() if p.grad is not None})
    supernet.zero_grad()
    for architecture, x in zip(pair, inputs, strict=True):
        supernet.subnet(architecture)(x).sum().backward()
    for name, parameter in supernet.named_parameters():
        parts = [grads[name] for grads in single if name in grads]
        assert (parameter.grad is None) == (not parts)
        if parts:
            torch.testing.assert_close(parameter.grad, sum(parts), rtol=1e-5, atol=1e-6)


def test_subnet_follows_the_supernets_weights(supernet: Supernet) -> None:
    """After an in-place update (an optimiser step) a new `subnet` call sees the new weights, views and copies alike."""
    supernet.eval()
    for architecture in architectures(6, seed=7):
        x = torch.randn(2, *architecture.input_shape)
        supernet.subnet(architecture)(x)
        with torch.no_grad():
            for parameter in supernet.parameters():
                parameter.add_(0.01 * torch.randn_like(parameter))
        torch.testing.assert_close(supernet.subnet(architecture)(x), supernet.extract(architecture)(x))


def test_moving_the_supernet_rebinds_its_slices() -> None:
    supernet = Supernet(SPACE).eval()
    architecture = architectures(1)[0]
    x = torch.randn(2, *architecture.input_shape)
    before = supernet.subnet(architecture)(x)
    supernet.double()
    after = supernet.subnet(architecture)(x.double())
    assert after.dtype == torch.float64
    torch.testing.assert_close(after.float(), before, rtol=1e-4, atol=1e-4)


def test_same_seed_same_weights_and_global_random_state_untouched() -> None:
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    first, second, other = Supernet(SPACE, seed=4), Supernet(SPACE, seed=4), Supernet(SPACE, seed=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    equal = [torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)]
    assert all(equal)
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_largest_network_has_the_supernets_own_sizes() -> None:
    space = get_space("hybrid-vision/mobile")
    row = space.largest(space.sample(1, np.random.default_rng(0)))[0]
    with torch.device("meta"):
        supernet, network = Supernet(space), build_network(space.architecture(row))
    sizes = {name: p.shape for name, p in supernet.operators.named_parameters()}
    for name, parameter in network.named_parameters():
        full = sizes[name]
        assert all(small <= large for small, large in zip(parameter.shape, full, strict=True))
