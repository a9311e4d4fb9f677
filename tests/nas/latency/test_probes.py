"""Which operators a table measures: spread, unique, and then those that lower the error of whole networks most."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from nas.errors import JobError
from nas.latency.plan import choose_networks
from nas.latency.probes import choose_operators, next_probes
from predictors import OperatorModel
from predictors.features import work
from search_spaces import Architecture, OperatorSpec, make_space

SPACE = make_space({"name": "hybrid-vision", "preset": "tiny", "resolutions": [8, 12], "in_channels": 1, "classes": 10})
NAMES = len({spec.name for spec in SPACE.specs()})


@pytest.mark.parametrize("count", [NAMES, 30, 100, 10**6])
def test_chosen_operators_are_unique_and_cover_every_name(count: int) -> None:
    specs = SPACE.specs()
    chosen = choose_operators(specs, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(specs))
    assert {spec.name for spec in chosen} == {spec.name for spec in specs}


def test_fewer_probes_than_operators_are_refused() -> None:
    with pytest.raises(JobError, match=f"operators: got 3; legal: at least {NAMES}"):
        choose_operators(SPACE.specs(), 3)


def test_chosen_operators_spread_better_than_random_ones() -> None:
    """The largest distance from any spec to its nearest chosen one, per operator, is what the design keeps small."""
    group = [spec for spec in SPACE.specs() if spec.name == "mbconv"]
    points = np.log1p([[v for _, v in s.sizes] + list(s.shape) for s in group])
    points = points / np.maximum(np.ptp(points, axis=0), 1e-9)

    def cover(indices: list[int]) -> float:
        return float(np.linalg.norm(points[:, None] - points[indices][None], axis=2).min(1).max())

    designed = [group.index(s) for s in choose_operators(group, 12)]
    rng = np.random.default_rng(0)
    random = [cover(list(rng.choice(len(group), 12, replace=False))) for _ in range(20)]
    assert cover(designed) < np.median(random)


def truth(spec: OperatorSpec) -> float:
    """A law of its own for every operator, slower for narrow ones, and 5 % that no feature explains, in ms."""
    macs, activations = work(spec)
    seed = zlib.crc32(spec.name.encode())
    own = np.random.default_rng(zlib.crc32(spec.canonical.encode())).normal()
    rate = 1e8 * (1 + seed % 3) * min(1.0, spec.shape[0] / 64)
    ms = 0.004 * (1 + seed % 7) + macs / rate + activations / (2e7 * (1 + seed % 2))
    return float(ms * np.exp(0.05 * own))


def error(known: list[OperatorSpec], networks: list[Architecture]) -> float:
    ms = OperatorModel({spec: truth(spec) for spec in known}).ms([s for a in networks for s in a.specs])
    pairs = [(sum(ms[s] for s in a.specs), sum(truth(s) for s in a.specs)) for a in networks]
    return float(np.mean([abs(predicted / true - 1) for predicted, true in pairs]))


def test_next_probes_lower_the_error_of_other_networks_more_than_a_spread_does() -> None:
    space = make_space({"name": "hybrid-vision", "preset": "tiny"})
    specs = space.specs()
    reference, others = (choose_networks(space, n, np.random.default_rng(n)) for n in (150, 100))
    known = choose_operators(specs, 30)
    first = error(known, others)
    for _ in range(2):
        chosen = next_probes(OperatorModel({spec: truth(spec) for spec in known}), reference, 30)
        assert len(set(chosen)) == 30
        assert not set(chosen) & set(known)
        known += chosen
    assert error(known, others) < min(0.8 * error(choose_operators(specs, 90), others), 0.5 * first)


def test_a_probe_is_worth_what_the_covariance_says() -> None:
    """By brute force: the trace of the networks' error covariance before and after one spec is known."""
    networks = choose_networks(SPACE, 40, np.random.default_rng(0))
    model = OperatorModel({spec: truth(spec) for spec in choose_operators(SPACE.specs(), 40)})
    specs = list(dict.fromkeys(spec for a in networks for spec in a.specs))
    ms = model.ms(specs)
    covariance = np.zeros((len(specs), len(specs)))
    for name in {spec.name for spec in specs}:
        index = [i for i, spec in enumerate(specs) if spec.name == name]
        covariance[np.ix_(index, index)] = model.covariance([specs[i] for i in index])
    share = np.array([[a.specs.count(s) * ms[s] for s in specs] for a in networks])
    share /= share.sum(axis=1, keepdims=True)

    def trace(matrix: np.ndarray) -> float:
        return float(np.einsum("ns,st,nt->", share, matrix, share))

    left = {}
    for i, spec in enumerate(specs):
        if covariance[i, i] > 1e-12:
            left[spec] = trace(covariance - np.outer(covariance[i], covariance[i]) / covariance[i, i])
    (chosen,) = next_probes(model, networks, 1)
    assert left[chosen] == pytest.approx(min(left.values()), rel=1e-9)


def test_when_all_is_known_there_is_nothing_to_choose() -> None:
    networks = choose_networks(SPACE, 30, np.random.default_rng(0))
    model = OperatorModel({spec: truth(spec) for a in networks for spec in a.specs})
    assert next_probes(model, networks, 5) == []
