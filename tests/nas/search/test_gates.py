"""Gates against a mixed operation with a small gate, on real supernets; and that they are kept, and change nothing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.job_file import parse_job
from nas.progress import Silent
from nas.run import RunDirectory
from nas.search.driver import search_together
from nas.search.evaluator import InheritedQuality
from nas.search.gates import _batch_statistics, alternatives, gates, relative_cost, segments
from nas.search.inherited_gates import GRADIENTS, InheritedGates
from nas.search.problem import Problem
from nas.search.workers import Here
from nas.session import Session
from search_spaces import SearchSpace, Supernet
from search_spaces.build import cost
from search_spaces.spaces import make_space
from tests.conftest import SMALL_JOB

MIXERS = ["mbconv", "ssd", "identity", "mhsa"]
VISION = {
    "name": "hybrid-vision",
    "preset": "tiny",
    "resolutions": [8, 12],
    "in_channels": 1,
    "classes": 4,
    "mixers": MIXERS,
}
CELLS = {"name": "nas-bench-201", "preset": "cifar10", "resolutions": [8]}


def mixed_loss(supernet: Supernet, row: np.ndarray, other: Any, x: Tensor, labels: Tensor, gate: float) -> float:
    """The loss where every segment that differs gives (1 - gate) of its own output and the gate of the other one's."""
    here = supernet.space.architecture(row)
    found = segments(here.nodes, other.nodes)
    assert found is not None
    one, two = list(supernet.subnet(here)), list(supernet.subnet(other))
    starts = {place.start: place for place in found}
    values: dict[str, Tensor] = {}
    end = -1

    def chain(modules: list[nn.Module], value: Tensor) -> Tensor:
        for module in modules:
            value = module(value)
        return value

    with torch.no_grad(), _batch_statistics(nn.ModuleList([*one, *two])):
        for i, node in enumerate(here.nodes):
            x = values[node.source] if node.source else x
            if i in starts:
                place = starts[i]
                end = place.end
                swapped = chain(two[place.start : place.other_end], x)
                if place.start == place.end:  # nothing here, something there
                    x = x + gate * (swapped - x)
            x = one[i](x)
            if i == end - 1:
                x = x + gate * (swapped - x)
            if node.target:
                x = values[node.target] = values[node.target] + x if node.target in values else x
        return float(F.cross_entropy(x.double(), labels))


def supernet_of(definition: dict[str, Any]) -> Supernet:
    return Supernet(make_space(definition), seed=3).double().eval()


def batch(space: SearchSpace, row: np.ndarray, classes: int) -> tuple[Tensor, Tensor]:
    shape = space.architecture(row).input_shape
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, *shape, generator=generator).double(), torch.arange(6) % classes


@pytest.mark.parametrize(("definition", "classes"), [(VISION, 4), (CELLS, 10)], ids=["vision", "cells"])
def test_a_gate_is_the_slope_of_the_loss_where_the_operator_is_mixed_in(
    definition: dict[str, Any], classes: int
) -> None:
    supernet = supernet_of(definition)
    space = supernet.space
    (row,) = space.sample(1, np.random.default_rng(4))
    x, labels = batch(space, row, classes)
    loss, found = gates(supernet, row, x, labels)
    checked, last = 0, None
    for gene, value, other in alternatives(space, row):
        if not np.isfinite(found[gene, value]):
            continue
        last = other
        if checked % 5 == 0 or space.choices[gene].name.endswith(("depth", "width")):
            step = 1e-6
            up, down = (mixed_loss(supernet, row, other, x, labels, gate) for gate in (step, -step))
            assert found[gene, value] == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-6)
        checked += 1
    assert checked >= 15
    assert loss == pytest.approx(mixed_loss(supernet, row, last, x, labels, 0.0))


def test_what_has_no_gate_is_nan_and_what_is_there_is_zero() -> None:
    supernet = supernet_of(VISION)
    space = supernet.space
    (row,) = space.sample(1, np.random.default_rng(4))
    _, found = gates(supernet, row, *batch(space, row, 4))
    active = space.active(row[None])[0]
    assert (found[active, row[active]] == 0).all()
    assert np.isnan(found[~active]).all()
    side = space.index["resolution"]
    assert np.isnan(np.delete(found[side], row[side])).all()  # the other side: the image has another shape
    for g in np.flatnonzero(active):
        if g != side:
            assert np.isfinite(found[g, space.legal[g]]).all(), space.choices[g].name


def test_gates_leave_the_supernet_as_it_was() -> None:
    supernet = supernet_of(CELLS)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    (row,) = supernet.space.sample(1, np.random.default_rng(0))
    x, labels = batch(supernet.space, row, 10)
    first = gates(supernet, row, x, labels)
    again = gates(supernet, row, x, labels)
    assert first[0] == again[0]
    assert np.array_equal(first[1], again[1], equal_nan=True)
    assert all(torch.equal(before[name], value) for name, value in supernet.state_dict().items())
    assert all(parameter.grad is None for parameter in supernet.parameters())
    assert not any(module.training for module in supernet.modules())


def test_the_cost_counts_every_operator_that_is_run() -> None:
    space = make_space(CELLS)
    (row,) = space.sample(1, np.random.default_rng(1))
    per_gene = {}
    for gene, value, other in alternatives(space, row):
        fresh = set(other.nodes) - set(space.architecture(row).nodes)
        per_gene[gene, value] = sum(cost(node.spec).macs for node in fresh)
    whole = sum(cost(spec).macs for spec in space.architecture(row).specs)
    assert relative_cost(space, row[None]) == 3 + Fraction(sum(per_gene.values()), whole)


def test_a_run_keeps_its_gradients_and_a_killed_search_resumes_from_them(tmp_path: Path) -> None:
    data = {
        "name": "digits",
        "limit": 600,
        "search_fraction": 0.5,
    }  # a gradient on 32 examples costs about an evaluation
    search_section = {**SMALL_JOB["search"], "images": 300}
    space = {"resolutions": [8], "mixers": ["mbconv", "identity", "mhsa"]}
    job = parse_job(SMALL_JOB | {"data": data, "space": space, "search": search_section})
    with RunDirectory.create(tmp_path / "run", job) as run:
        session = Session(run, Silent())
        evaluation = session.evaluation
        latency = session.space.additive(lambda spec: cost(spec).macs / 1e6 + 0.01).score
        problem = Problem(session.space, 16, 4, known={"latency_ms": latency}, seed=1)

        def search() -> Any:
            with InheritedQuality(run, evaluation, Here(evaluation)) as evaluate:
                return search_together(problem, "differentiable", evaluate)["latency_ms"]

        whole = search()
        kept = run.read_rows(GRADIENTS)
        gradient = InheritedGates(run, evaluation)
        assert len(kept) >= 2
        spent = len(whole.X) + len(kept) * gradient.cost
        assert 15 < spent <= 16
        assert whole.cost[-1] <= 16
        assert (np.diff(whole.cost) >= 1 - 1e-9).all()
        # what a kill between two gradients leaves: the search goes on with the first, and ends in the same bytes
        path = run.file(GRADIENTS)
        text = path.read_bytes()
        path.write_bytes(b"".join(text.splitlines(keepends=True)[:2]) + b'"torn')
        assert np.array_equal(search().X, whole.X)
        assert path.read_bytes() == text
        losses, changes = gradient(whole.X[:0])
        assert losses.shape == (0,)
        assert changes.shape == (0, len(session.space.choices), int(session.space.cardinalities.max()))
