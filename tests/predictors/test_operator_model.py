"""Estimates for unmeasured specs against latency laws that are known."""

from __future__ import annotations

import numpy as np
import pytest

from predictors import OperatorModel, PredictorError
from predictors.features import work
from predictors.operator_process import BEYOND
from search_spaces.spaces import get_space
from search_spaces.spec import OperatorSpec


def law(spec: OperatorSpec) -> float:
    """A call, compute that saturates with the width, and memory traffic, in ms: no power law, no additive law."""
    macs, activations = work(spec)
    return 0.004 + macs / (2e8 * min(1.0, spec.shape[0] / 64)) + activations / 3e7


@pytest.fixture(scope="module")
def by_name() -> dict[str, list[OperatorSpec]]:
    """Every spec of the space that has enough company to hold some out."""
    groups: dict[str, list[OperatorSpec]] = {}
    for spec in get_space("hybrid-vision/tiny").specs():
        groups.setdefault(spec.name, []).append(spec)
    return {name: specs for name, specs in groups.items() if len(specs) >= 50}


@pytest.mark.parametrize(("measured", "worst"), [(10, 0.25), (40, 0.08)])
def test_few_measurements_predict_the_others(by_name: dict, measured: int, worst: float) -> None:
    rng = np.random.default_rng(0)
    assert len(by_name) >= 5
    for name, specs in by_name.items():
        order = rng.permutation(len(specs))
        known = [specs[i] for i in order[:measured]]
        unknown = [specs[i] for i in order[measured:]]
        model = OperatorModel({spec: law(spec) * np.exp(0.01 * rng.normal()) for spec in known})
        estimates = model.ms(unknown)
        true = np.array([law(spec) for spec in unknown])
        error = np.abs(np.array([estimates[spec] for spec in unknown]) / true - 1).mean()
        assert error < worst, name
        assert error < 0.5 * np.abs(np.mean([law(spec) for spec in known]) / true - 1).mean(), name
        assert model.errors[name].measurements == measured


def test_its_own_error_estimate_is_about_the_true_one(by_name: dict) -> None:
    specs = by_name["mbconv"]
    rng = np.random.default_rng(1)
    order = rng.permutation(len(specs))
    model = OperatorModel({specs[i]: law(specs[i]) * np.exp(0.1 * rng.normal()) for i in order[:60]})
    unknown = [specs[i] for i in order[60:]]
    estimates = model.ms(unknown)
    noisy = [law(spec) * np.exp(0.1 * rng.normal()) for spec in unknown]
    true = np.mean([abs(estimates[spec] / ms - 1) for spec, ms in zip(unknown, noisy, strict=True)])
    assert 0.6 * true < model.errors["mbconv"].mape < 1.6 * true


def test_measured_specs_keep_their_median(by_name: dict) -> None:
    specs = by_name["mhsa"][:20]
    measured = {spec: 1.0 + i for i, spec in enumerate(specs)}  # an absurd law, to be believed all the same
    model = OperatorModel(measured)
    assert model.ms(specs) == measured
    assert model.is_measured(specs[0])
    assert not model.is_measured(by_name["mhsa"][30])


def test_extrapolation_stays_within_what_the_work_explains() -> None:
    small = [
        OperatorSpec.of("mlp", (dim, side, side), dim=dim, ratio=ratio)
        for dim in (16, 32, 64)
        for side in (4, 8)
        for ratio in (2, 4)
    ]
    model = OperatorModel({spec: law(spec) for spec in small})
    giant = OperatorSpec.of("mlp", (4096, 512, 512), dim=4096, ratio=4)
    dwarf = OperatorSpec.of("mlp", (1, 1, 1), dim=1, ratio=1)
    top, bottom = (extreme(law(spec) for spec in small) for extreme in (max, min))
    estimates = model.ms([giant, dwarf])
    more = work(giant)[0] / max(work(spec)[0] for spec in small)  # it can take no longer than in proportion to its work
    assert top < estimates[giant] <= BEYOND * top * more
    assert bottom / BEYOND * (1 - 1e-9) <= estimates[dwarf] < top


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_measurements_borrow_what_work_costs_from_the_other_operators(by_name: dict, n: int) -> None:
    known = {
        spec: law(spec) for name, specs in by_name.items() for spec in specs[:: 1 if name != "convnext" else 10**6]
    }
    few, unknown = by_name["convnext"][:n], by_name["convnext"][n:]
    for spec in few:
        known[spec] = law(spec)
    model = OperatorModel(known)
    true = np.array([law(spec) for spec in unknown])
    estimates = model.ms(unknown)
    error = np.abs(np.array([estimates[spec] for spec in unknown]) / true - 1).mean()
    constant = np.abs(np.exp(np.mean([np.log(law(spec)) for spec in few])) / true - 1).mean()
    assert error < 0.6 * constant
    assert np.isnan(model.errors["convnext"].mape)


def test_the_covariance_is_that_of_the_errors(by_name: dict) -> None:
    """Over many laws: errors in log latency, whitened by the covariance of their model, have a mean square about one."""
    rng = np.random.default_rng(2)
    squares = []
    for name in ("mbconv", "mhsa", "convnext"):
        for _ in range(8):
            order = rng.permutation(len(by_name[name]))
            known, unknown = ([by_name[name][i] for i in part] for part in (order[:25], order[25:60]))
            own = {spec: law(spec) * np.exp(0.1 * rng.normal()) for spec in (*known, *unknown)}
            model = OperatorModel({spec: own[spec] for spec in known})
            estimates = model.ms(unknown)
            error = np.log([estimates[spec] / own[spec] for spec in unknown])
            squares.append(float(error @ np.linalg.solve(model.covariance(unknown), error)) / len(unknown))
            assert not model.covariance(known).any()
    assert 0.6 < np.median(squares) < 1.7


def test_an_operator_that_was_never_measured_is_an_error(by_name: dict) -> None:
    model = OperatorModel({by_name["mhsa"][0]: 1.0})
    with pytest.raises(PredictorError, match="operator 'mbconv' was never measured; measured operators: mhsa"):
        model.ms(by_name["mbconv"][:1])
    with pytest.raises(PredictorError, match=r"mhsa\(.*has latency nan ms"):
        OperatorModel({by_name["mhsa"][0]: float("nan")})
