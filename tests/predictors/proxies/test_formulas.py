"""Zero-cost proxies against formulas worked out here."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from predictors.proxies import (
    RandomBatch,
    Subject,
    score_proxies,
)
from predictors.proxies.calls import ActivationInputs
from predictors.proxies.expressivity import by_input
from predictors.proxies.subject import weights
from search_spaces import Network, OperatorSpec, build_network, build_operator, get_space
from search_spaces.architecture import Node
from search_spaces.operators import operator_names
from tests.predictors.proxies.networks import CELL, mlp, surrounded, values


def test_params_and_macs_are_counted() -> None:
    rows = CELL.sample(3, np.random.default_rng(0))
    for architecture in [*map(CELL.architecture, rows)]:
        network = build_network(architecture)
        inputs, _ = RandomBatch(size=4)(architecture)
        known = score_proxies(network, inputs, names=["params", "macs"], architecture=architecture)
        counted = score_proxies(network, inputs, names=["macs"])
        assert known["params"].value == sum(p.numel() for p in network.parameters())
        assert known["macs"].value == counted["macs"].value > 0


def test_synflow_of_a_chain_is_its_flow_times_its_layers() -> None:
    """Without biases, each layer's sum of |w dR/dw| is R = 1' |W3| |W2| |W1| 1; batch norm and ReLU6 change nothing."""
    layers = [nn.Linear(5, 40, bias=False), nn.Linear(40, 30, bias=False), nn.Linear(30, 3, bias=False)]
    plain, inputs, _ = mlp(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    flow = torch.ones(5, dtype=torch.float64)
    for layer in layers:
        flow = layer.weight.detach().double().abs() @ flow
    expected = math.log1p(3 * float(flow.sum()))
    assert values(plain, inputs, names=["synflow"])["synflow"] == pytest.approx(expected, rel=1e-12)
    with torch.no_grad():
        layers[0].weight.mul_(128)  # exact
    normed = nn.Sequential(
        layers[0], nn.BatchNorm1d(40), nn.ReLU6(), layers[1], nn.BatchNorm1d(30), nn.ReLU6(), layers[2]
    )
    found = values(normed, inputs, names=["synflow"])["synflow"]
    assert found == pytest.approx(math.log1p(3 * 128 * float(flow.sum())), rel=1e-12)


@pytest.mark.parametrize("space", ["hybrid-vision/tiny", "hybrid-sequence/small"])
def test_synflow_does_not_overflow_in_the_deepest_networks(space: str) -> None:
    found = get_space(space)
    for row in found.largest(found.sample(1, np.random.default_rng(0))):
        network, (inputs, _) = build_network(found.architecture(row)), RandomBatch(size=4)(found.architecture(row))
        assert math.isfinite(values(network, inputs, names=["synflow"])["synflow"])


def _by_hand(network: nn.Sequential, inputs: Tensor, labels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of the mean cross entropy of ``W2 relu(W1 x)`` by both matrices, from the chain rule, in numpy."""
    first, second = (network[i].weight.detach().double().numpy() for i in (0, 2))
    x, hidden = inputs.double().numpy(), inputs.double().numpy() @ first.T
    scores = np.maximum(hidden, 0) @ second.T
    error = np.exp(scores - scores.max(1, keepdims=True))
    error = error / error.sum(1, keepdims=True) - np.eye(3)[labels.numpy()]
    error /= len(x)
    return ((error @ second) * (hidden > 0)).T @ x, error.T @ np.maximum(hidden, 0)


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_snip_grad_norm_and_zico_follow_from_the_chain_rule(seed: int) -> None:
    torch.manual_seed(seed)
    network, inputs, labels = mlp(nn.Linear(5, 16, bias=False), nn.ReLU(), nn.Linear(16, 3, bias=False), seed=seed)
    matrices = [network[i].weight.detach().double().numpy() for i in (0, 2)]
    slopes = _by_hand(network, inputs, labels)
    found = values(network, inputs, labels, names=["snip", "grad_norm", "zico"])
    assert found["snip"] == pytest.approx(
        sum(np.abs(w * g).sum() for w, g in zip(matrices, slopes, strict=True)), rel=1e-4
    )
    assert found["grad_norm"] == pytest.approx(sum(np.linalg.norm(g) for g in slopes), rel=1e-4)
    halves = [_by_hand(network, inputs[part], labels[part]) for part in (slice(0, 4), slice(4, 8))]
    expected = 0.0
    for a, b in zip(*halves, strict=True):
        mean, spread = (np.abs(a) + np.abs(b)) / 2, np.abs(np.abs(a) - np.abs(b)) / 2
        expected += math.log((mean[spread > 0] / spread[spread > 0]).sum())
    assert found["zico"] == pytest.approx(expected, rel=0.05)  # a nearly equal pair divides by a rounding


def test_norms_biases_and_scales_are_no_weights() -> None:
    network, _, _ = surrounded("mhsa")
    names = set(weights(network))
    assert "n1.op.qkv.weight" in names or any("weight" in name and name.startswith("n1.op") for name in names)
    assert not any(name.endswith(("bias", "scale")) or "norm" in name for name in names)


@pytest.mark.parametrize("name", operator_names())
def test_activation_patterns_belong_to_their_inputs(name: str) -> None:
    """The patterns of a batch are those of its inputs one by one, wherever an operator puts the batch."""
    network, inputs, _ = surrounded(name)
    network.eval().requires_grad_(False)  # batch norm must not join the inputs

    def patterns(part: Tensor) -> Tensor:
        subject, seen = Subject(network, part), []
        start = subject.values().detach().clone().requires_grad_()
        with ActivationInputs(lambda x: seen.append(by_input(x, start) > 0) if x.requires_grad else None):
            subject.run(start)
        return torch.cat(seen, 1).double()

    batch, single = patterns(inputs), torch.cat([patterns(one) for one in inputs.split(1)])
    agree = [codes @ codes.T + (1 - codes) @ (1 - codes).T for codes in (batch, single)]
    assert (agree[0] - agree[1]).abs().max() <= 0.002 * batch.shape[1]  # a rounding may change a sign


def test_nwot_is_the_determinant_of_agreement() -> None:
    """K of every pair by counting, over modules and functions alike."""
    first, second = nn.Linear(5, 30), nn.Linear(30, 20)

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.out, self.bent = first, second, nn.Linear(20, 3), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.out(torch.nn.functional.gelu(self.second(self.bent(self.first(x)))).sigmoid())

    _, inputs, _ = mlp(nn.Identity())
    with torch.no_grad():
        a = first(inputs)
        b = second(a.relu())
        codes = torch.cat([a, b, torch.nn.functional.gelu(b)], 1).gt(0).tolist()
    agree = [[sum(p == q for p, q in zip(one, two, strict=True)) for two in codes] for one in codes]
    expected = np.linalg.slogdet(np.array(agree, float))[1]
    assert values(Mixed(), inputs, names=["nwot"])["nwot"] == pytest.approx(expected, rel=1e-9)


def test_jacov_is_the_spectrum_of_correlated_slopes() -> None:
    network, inputs, _ = mlp(nn.Linear(5, 30), nn.Tanh(), nn.Linear(30, 3))
    rows = torch.stack([torch.autograd.functional.jacobian(lambda x: network(x).sum(), one) for one in inputs])
    spectrum = np.linalg.eig(np.corrcoef(rows.double().numpy()))[0].real.clip(min=0) + 1e-5
    linear = mlp(nn.Linear(5, 3))[0]  # all slopes are equal: one eigenvalue of 8, seven of 0
    expected = -(math.log(8) + 1 / 8 + 7 * (math.log(1e-5) + 1e5))
    assert values(linear, inputs, names=["jacov"])["jacov"] == pytest.approx(expected, rel=1e-3)
    found = values(network, inputs[:4], names=["jacov"])["jacov"]
    spectrum = np.linalg.eig(np.corrcoef(rows[:4].double().numpy()))[0].real + 1e-5
    assert found == pytest.approx(-(np.log(spectrum) + 1 / spectrum).sum(), rel=1e-2)


class Times(nn.Module):
    """A factor that no initialisation changes."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.LayerNorm, nn.Identity, lambda dim: nn.GroupNorm(4, dim)])
def test_zen_sees_the_scale_that_a_norm_hides(norm: type[nn.Module]) -> None:
    """A factor before a norm changes no output, yet adds its logarithm; so it does without a norm, in the output."""

    def zen(factor: float) -> float:
        layers = (nn.Linear(5, 64, bias=False), Times(factor), norm(64), nn.ReLU(), nn.Linear(64, 8))
        return values(*mlp(*layers), names=["zen"])["zen"]

    assert zen(30.0) - zen(1.0) == pytest.approx(math.log(30), abs=1e-3)


def test_zen_with_norms_is_about_phi_without() -> None:
    """The paper's reason for its second term: norms undone, both chains have about the same score."""

    def chain(normed: bool) -> float:
        layers = [
            layer
            for before in (5, 64, 64, 64, 64)
            for layer in (nn.Linear(before, 64), nn.BatchNorm1d(64) if normed else nn.Identity(), nn.ReLU())
        ]
        return values(nn.Sequential(*layers), torch.zeros(64, 5), names=["zen"])["zen"]

    assert abs(chain(True) - chain(False)) < 0.1 * chain(False)


def test_removal_is_the_change_without_a_block() -> None:
    """In a chain against networks built without the block; in a cell against one whose edge gives zeros."""
    network, inputs, _ = surrounded("mbconv")
    network = network.train()

    def change(parts: list[nn.Module], whole: Tensor) -> float:
        return float((nn.Sequential(*copy.deepcopy(parts))(inputs) - whole).norm() / whole.norm())

    with torch.no_grad():
        whole = copy.deepcopy(network)(inputs)
        stem, block, mixer, head = network
        expected = (change([stem, mixer, head], whole) + change([stem, block, head], whole)) / 2
    assert values(network, inputs, names=["removal"])["removal"] == pytest.approx(expected, rel=1e-5)
    image = (16, 8, 8)
    nodes = [
        Node("stem", OperatorSpec.of("conv_norm_stem", (3, 8, 8), channels=3, dim=16, active=0), target="a"),
        Node("conv", OperatorSpec.of("relu_conv_norm", image, dim=16, kernel=3), "a", "b"),
        Node("pool", OperatorSpec.of("plain_pooling", image, dim=16), "a", "b"),
        Node("head", OperatorSpec.of("norm_pooled_head", image, dim=16, classes=10), "b"),
    ]
    cell, images = Network((node, build_operator(node.spec)) for node in nodes), torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        stem, conv, pool, head = copy.deepcopy(cell)
        start = stem(images)
        whole, *others = head(conv(start) + pool(start)), head(conv(start)), head(pool(start))
    expected = np.mean([float((other - whole).norm() / whole.norm()) for other in others])
    assert values(cell, images, names=["removal"])["removal"] == pytest.approx(expected, rel=1e-4)
