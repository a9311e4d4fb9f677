"""What holds of every zero-cost proxy: every operator has it, nothing is changed by it, and mistakes are named."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from predictors import PredictorError
from predictors.proxies import (
    PROXIES,
    RandomBatch,
    register,
    score_proxies,
)
from search_spaces import Supernet, get_space
from search_spaces.operators import operator_names
from tests.predictors.proxies.networks import mlp, surrounded, values


@pytest.mark.parametrize("name", operator_names())
def test_every_operator_has_every_number(name: str) -> None:
    network, inputs, labels = surrounded(name)
    scores = score_proxies(network, inputs, labels)
    assert list(scores) == list(PROXIES)
    missing = {proxy: score.reason for proxy, score in scores.items() if not math.isfinite(score.value)}
    if name == "zero":  # nothing of the input comes through
        assert set(missing) == {"nwot", "jacov", "zen"}
        assert all("input" in reason for reason in missing.values())
    else:
        assert not missing


@given(st.sampled_from(sorted(PROXIES)), st.booleans(), st.booleans(), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_the_network_is_left_as_it_came(name: str, training: bool, with_slopes: bool, kind: int) -> None:
    network, inputs, labels = surrounded(("mbconv", "mhsa", "basic_block", "sequence_ssd")[kind])
    network.train(training)
    network[1].requires_grad_(False)
    if with_slopes:
        network(inputs).sum().backward()
    state = copy.deepcopy(network.state_dict())
    slopes = [None if p.grad is None else p.grad.clone() for p in network.parameters()]
    modes = [module.training for module in network.modules()]
    asked = [p.requires_grad for p in network.parameters()]
    given_inputs, random = inputs.clone(), torch.random.get_rng_state()
    score_proxies(network, inputs, labels, [name])
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    for parameter, slope in zip(network.parameters(), slopes, strict=True):
        assert (parameter.grad is None) == (slope is None)
        assert slope is None or torch.equal(parameter.grad, slope)
    assert [module.training for module in network.modules()] == modes
    assert [p.requires_grad for p in network.parameters()] == asked
    assert torch.equal(inputs, given_inputs)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_a_subnet_leaves_its_supernet_alone() -> None:
    space = get_space("hybrid-vision/tiny")
    supernet, row = Supernet(space), space.smallest(space.sample(1, np.random.default_rng(0)))[0]
    architecture = space.architecture(row)
    inputs, labels = RandomBatch(size=4)(architecture)
    before = [buffer.clone() for buffer in supernet.buffers()]
    score_proxies(supernet.subnet(architecture), inputs, labels)
    assert all(parameter.grad is None for parameter in supernet.parameters())
    assert all(torch.equal(buffer, fresh) for buffer, fresh in zip(supernet.buffers(), before, strict=True))


def test_a_value_depends_on_nothing_but_network_batch_and_seed() -> None:
    network, inputs, labels = surrounded("mbconv")
    together = values(network, inputs, labels)
    for name in PROXIES:
        torch.manual_seed(99)
        assert values(network, inputs, labels, names=[name])[name] == together[name]
    other = score_proxies(network, inputs, names=["zen"], seed=1)["zen"].value
    assert other != together["zen"]


def test_a_number_that_does_not_exist_is_nan_with_a_reason() -> None:
    network, inputs, labels = mlp(nn.Linear(5, 3))
    scores = score_proxies(network, inputs, labels)
    assert math.isnan(scores["nwot"].value)
    assert scores["nwot"].reason == "the network has no activation function"
    assert math.isnan(scores["removal"].value)
    assert "none can be left out" in scores["removal"].reason
    assert all(math.isfinite(scores[name].value) for name in PROXIES if name not in ("nwot", "removal"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ["synflow", "magic"]}, "proxies: got 'magic'; legal: .*synflow"),
        ({"names": []}, "proxies: got .*legal: one or more"),
        ({"names": ["snip"], "labels": None}, "labels: are missing; legal: .* for snip"),
        ({"inputs": torch.zeros(2, 5)}, "inputs: got 2; legal: at least 4"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, "labels: got 3; legal: 8"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, object], message: str) -> None:
    network, inputs, labels = mlp(nn.Linear(5, 3))
    with pytest.raises(PredictorError, match=message):
        score_proxies(**{"network": network, "inputs": inputs, "labels": labels, **change})  # type: ignore[arg-type]


def test_a_name_is_not_overwritten() -> None:
    with pytest.raises(ValueError, match="'synflow': the name is taken"):
        register("synflow")(lambda subject: 0.0)
