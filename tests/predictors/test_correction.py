"""Whole-network corrections: the law that made the data is found again, and intervals hold what they promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from predictors import OperatorModel
from predictors import correction as module
from predictors.correction import LEAST, Correction, conformal
from predictors.features import work
from search_spaces.spaces import get_space
from search_spaces.spec import OperatorSpec

Network = Sequence[OperatorSpec]
SPACE = get_space("hybrid-vision/tiny")


def alone_ms(spec: OperatorSpec) -> float:
    macs, activations = work(spec)
    return 0.02 + macs / 5e7 + activations / 2e7


def networks(count: int, seed: int) -> list[Network]:
    return [SPACE.architecture(row).specs for row in SPACE.sample(count, np.random.default_rng(seed))]


@pytest.fixture(scope="module")
def operators() -> OperatorModel:
    return OperatorModel({spec: alone_ms(spec) for spec in SPACE.specs()})


def predict(correction: Correction, operators: OperatorModel, new: Sequence[Network]) -> np.ndarray:
    specs = list(dict.fromkeys(spec for network in new for spec in network))
    alone = operators.ms(specs)
    parts = correction.parts(alone)
    sums = [np.array([sum(ms[spec] for spec in network) for network in new]) for ms in (parts, alone)]
    return correction.finish(*sums)


def total(network: Network) -> float:
    return sum(map(alone_ms, network))


LAWS: dict[str, Callable[[Network], float]] = {
    "as alone": total,
    "scaled": lambda network: 0.8 * total(network),
    "scaled, and a constant": lambda network: 0.8 * total(network) + 0.2,
    "a call less each": lambda network: 0.9 * total(network) - 0.015 * len(network) + 0.1,
    "each operator in its own way": lambda network: (
        0.1 + sum({"mhsa": 0.6, "ssd": 1.3, "mlp": 0.8}.get(s.name, 1.0) * alone_ms(s) for s in network)
    ),
}


@pytest.mark.parametrize("name", LAWS)
def test_the_law_behind_the_networks_is_found(name: str, operators: OperatorModel) -> None:
    law, noise = LAWS[name], np.random.default_rng(0).normal(size=80)
    fit, new = networks(80, 1), networks(200, 2)
    correction = Correction(operators, fit, np.array([law(network) for network in fit]) * np.exp(0.01 * noise))
    truth = np.array([law(network) for network in new])
    assert np.abs(predict(correction, operators, new) / truth - 1).mean() < 0.01
    assert 0.005 < correction.expected_error < 0.02


def test_leave_one_out_is_what_leaving_out_gives(operators: OperatorModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """In closed form, and by fitting n times to all the others with the same variances (but for the unit of calls, a median
    that moves a little)."""
    for name, value in (("SCALES", 0.03), ("CALLS", 0.01), ("NOISES", 1e-3)):
        monkeypatch.setattr(module, name, (value,))
    fit = networks(25, 3)
    ms = np.array([LAWS["each operator in its own way"](network) for network in fit])
    ms *= np.exp(0.02 * np.random.default_rng(3).normal(size=25))
    known = {spec: alone_ms(spec) for spec in SPACE.specs()[::7]}
    some = OperatorModel({**{s: alone_ms(s) for s in {n.name: n for n in SPACE.specs()}.values()}, **known})
    left = []
    for i in range(len(fit)):
        others = [network for j, network in enumerate(fit) if j != i]
        refitted = Correction(some, others, np.delete(ms, i))
        left.append(predict(refitted, some, [fit[i]])[0])
    whole = Correction(some, fit, ms)
    assert whole.expected_error == pytest.approx(np.abs(np.array(left) / ms - 1).mean(), rel=0.01)


def test_networks_teach_what_estimated_operators_take() -> None:
    """Sizes that were never measured alone and are slower than the others: whole networks say so."""
    slow = {spec for spec in SPACE.specs() if "mlp" in spec.name and spec.shape[1] == 16}

    def truth(spec: OperatorSpec) -> float:
        return alone_ms(spec) * (1.6 if spec in slow else 1.0)

    rng = np.random.default_rng(4)
    chosen = [spec for spec in SPACE.specs() if spec not in slow and (rng.random() < 0.15 or "head" in spec.name)]
    some = OperatorModel({spec: truth(spec) * np.exp(0.05 * rng.normal()) for spec in chosen})
    fit, new = networks(120, 5), networks(200, 6)
    ms = np.array([sum(map(truth, network)) for network in new])
    informed = Correction(some, fit, np.array([sum(map(truth, network)) for network in fit]))
    plain = Correction(some, [], np.zeros(0))
    error = [np.abs(predict(which, some, new) / ms - 1).mean() for which in (informed, plain)]
    assert error[0] < 0.5 * error[1]


def test_intervals_cover_nine_tenths_of_new_networks(operators: OperatorModel) -> None:
    covered, new = [], networks(200, 100)
    law = LAWS["each operator in its own way"]
    truth = np.array([law(network) for network in new])
    for seed in range(12):
        rng = np.random.default_rng(seed)
        fit = networks(40, seed)
        measured = np.array([law(network) for network in fit]) * np.exp(0.05 * rng.normal(size=40))
        correction = Correction(operators, fit, measured)
        ratio = np.log(truth * np.exp(0.05 * rng.normal(size=200)) / predict(correction, operators, new))
        covered.append((np.abs(ratio) <= correction.interval).mean())
    assert 0.85 < np.mean(covered) < 0.96


@pytest.mark.parametrize("n", [4, 8, 9, 19, 60])
def test_conformal_half_width_covers_exchangeable_residuals(n: int) -> None:
    rng = np.random.default_rng(n)
    draws = np.abs(rng.normal(size=(4000, n + 1)))
    widths = np.array([conformal(row[:-1], 0.9) for row in draws])
    assert 0.885 < (draws[:, -1] <= widths).mean() < 0.96


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_few_networks_say_little_and_spoil_nothing(n: int, operators: OperatorModel) -> None:
    fit, new = networks(n, 7), networks(50, 8)
    correction = Correction(operators, fit, np.array([0.9 * total(network) for network in fit]))
    ratio = predict(correction, operators, new) / np.array([total(network) for network in new])
    assert np.isnan(correction.interval) == (n < 3)
    assert (np.abs(ratio - 1) < 1e-12).all() if n == 0 else ((ratio > 0.8) & (ratio < 1.1)).all()


def test_a_correction_never_predicts_nothing_or_less(operators: OperatorModel) -> None:
    fit = networks(40, 9)
    correction = Correction(operators, fit, np.array([total(network) - 0.019 * len(network) for network in fit]))
    tiny = [min(SPACE.specs(), key=alone_ms)] * 40
    assert predict(correction, operators, [tiny])[0] >= LEAST * total(tiny) > 0
