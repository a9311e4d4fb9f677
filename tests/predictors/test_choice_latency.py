"""Latencies of choices: their intervals hold where a predictor is off by operators, which averaging networks does not cure."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.choice_latency import ChoiceLatency
from predictors.importance import ImportanceModel
from predictors.latency import LatencyPrediction
from predictors.marginal import pools
from search_spaces import make_space

SPACE = make_space(
    {"name": "hybrid-vision", "preset": "tiny", "resolutions": [8], "in_channels": 1, "classes": 10,
     "mixers": ["mbconv", "mhsa", "ssd", "identity"]}
)  # fmt: skip
ROWS = SPACE.sample(200, np.random.default_rng(0))
MODEL = ImportanceModel(SPACE).fit(ROWS, ROWS.sum(axis=1).astype(float))
SHARES = np.array([pool.shares for pool in pools(SPACE, MODEL.terms)])


def device(rng: np.random.Generator, weights: np.ndarray, own: float) -> tuple[LatencyPrediction, np.ndarray]:
    """Predictions of a device that takes what ``weights`` (T,) add up to, 5 % off (root mean square): by a part ``own`` of
    each network's own, and by operators for the rest. With what its choices take in truth."""
    true = MODEL.score(ROWS, weights)
    names: dict[tuple[str, object], float] = {}  # an operator, a width: off by the same wherever it is
    for g, v in MODEL.terms:
        choice = SPACE.choices[g]
        names.setdefault((choice.name.rpartition(".")[2], choice.values[v]), float(rng.normal()))
    off = np.array(
        [names[SPACE.choices[g].name.rpartition(".")[2], SPACE.choices[g].values[v]] for g, v in MODEL.terms]
    )
    shared = MODEL.score(ROWS, off)
    scale = np.sqrt(1 - own**2) * 0.05 * true.mean() / shared.std()
    alone = own * 0.05 * true.mean() * rng.normal(size=len(ROWS))
    ms = true + scale * (shared - shared.mean()) + alone
    half = 1.645 * 0.05 * true.mean()
    return LatencyPrediction(ms, ms - half, ms + half), SHARES @ weights


@pytest.mark.parametrize(("own", "least"), [(0.0, 0.75), (0.5, 0.88), (1.0, 0.95)])
def test_nine_in_ten_intervals_hold_where_a_part_of_the_error_is_of_operators(own: float, least: float) -> None:
    """Eight in ten where all of it is, and the same in every stage: what no averaging of networks could tell."""
    rng = np.random.default_rng(3)
    holds, fit_alone = [], []
    for _ in range(30):
        found, truth = device(rng, rng.uniform(0.5, 1.5, len(MODEL.terms)), own)
        value, error = ChoiceLatency(SPACE, ROWS, found).sums(SHARES)
        fit = ImportanceModel(SPACE).fit(ROWS, np.asarray(found.mean_ms)).sums(SHARES)
        assert value == pytest.approx(fit[0])
        holds.append(np.abs(value - truth) < 1.645 * error)
        fit_alone.append(np.abs(value - truth) < 1.645 * fit[1])
    assert np.mean(holds) > least
    assert own > 0 or np.mean(fit_alone) < 0.4  # what many networks leave open is not what the predictor does not know


def test_spreads_are_those_of_weights_drawn_before_anything_is_seen() -> None:
    rng = np.random.default_rng(0)
    weights = rng.multivariate_normal(np.zeros(len(MODEL.terms)), MODEL._prior, size=4000)
    scores = np.array([MODEL.score(ROWS, drawn) for drawn in weights])
    varied = np.sqrt(((scores - scores.mean(axis=1, keepdims=True)) ** 2).mean())
    assert MODEL.spread_of_sums(SHARES) == pytest.approx((weights @ SHARES.T).std(axis=0) / varied, rel=0.08)


def test_errors_grow_with_the_interval_and_are_unknown_with_it() -> None:
    ms = 1.0 + MODEL(ROWS) / 100
    errors = [
        ChoiceLatency(SPACE, ROWS, LatencyPrediction(ms, ms - h, ms + h)).sums(SHARES)[1] for h in (0.0, 0.1, 0.2)
    ]
    fit, narrow, wide = (error**2 for error in errors)
    assert (fit < narrow).all()
    assert wide - fit == pytest.approx(4 * (narrow - fit))
    unknown = ChoiceLatency(SPACE, ROWS, LatencyPrediction(ms, np.full(len(ms), np.nan), np.full(len(ms), np.nan)))
    value, error = unknown.sums(SHARES)
    assert np.isfinite(value).all()
    assert np.isnan(error).all()
    assert np.isnan(unknown.off_ms)
