"""Latency on a new device: known devices of our own making, alike or misleading."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from predictors import PredictorError
from predictors.baselines import LinearTransfer, OperatorTransfer, ProxyTransfer
from predictors.code_features import CodeFeatures
from predictors.sources import LearntSources
from predictors.transfer import TransferPredictor

GENES, CODES = 12, 5
FEATURES = CodeFeatures([CODES] * GENES)


class World:
    """Devices whose latency is a sum over operators: ``alike`` of it is common to all, the rest each device's own."""

    def __init__(self, alike: float, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.X = rng.integers(CODES, size=(1500, GENES))
        common = rng.gamma(1.0, size=(GENES, CODES))
        costs = [alike * common + (1 - alike) * rng.gamma(1.0, size=(GENES, CODES)) for _ in range(5)]
        noise = np.exp(0.01 * rng.normal(size=(1500, 5)))
        sums = [cost[np.arange(GENES), self.X].sum(axis=1) for cost in costs]
        self.ms = np.stack(sums, axis=1) * np.array([1.0, 3.0, 0.2, 10.0, 5.0]) * noise
        self.sources = LearntSources(FEATURES, self.X[:600], self.ms[:600, :4])

    def shared(self) -> TransferPredictor:
        return TransferPredictor(self.sources, FEATURES, self.X[:600])

    def error(self, predictor: object, count: int, seed: int = 0) -> tuple[float, float, float]:
        """(Spearman, mean relative error, coverage of 90 %) on rows never seen."""
        rows = np.random.default_rng(seed).permutation(600)[:count]
        predictor.fit(self.X[rows], self.ms[rows, 4])  # type: ignore[attr-defined]
        mean, std = predictor.predict(self.X[600:])  # type: ignore[attr-defined]
        true = np.log(self.ms[600:, 4])
        missed = np.abs(mean - true)
        return float(spearmanr(mean, true)[0]), float(np.expm1(missed).mean()), float((missed <= 1.645 * std).mean())


def test_ten_measurements_do_where_devices_agree() -> None:
    world = World(alike=0.9)
    rank, error, _ = world.error(world.shared(), 10)
    assert rank > 0.93
    assert error < 0.08


def test_misleading_devices_are_given_up() -> None:
    """Nothing in common: with enough measurements the operators' own share must do as well as without known devices."""
    world = World(alike=0.0)
    ours, proxy = world.error(world.shared(), 60), world.error(ProxyTransfer(world.sources), 60)
    alone = world.error(OperatorTransfer(FEATURES, world.X[:600]), 60)
    assert ours[0] > alone[0] - 0.05
    assert ours[0] > proxy[0] + 0.2


def test_no_usual_way_is_better_in_the_mean() -> None:
    ranks: dict[str, list[float]] = {"shared": [], "proxy": [], "linear": [], "operators": []}
    for alike in (0.0, 0.5, 0.9):
        world = World(alike, seed=1)
        made = {
            "shared": world.shared(),
            "proxy": ProxyTransfer(world.sources),
            "linear": LinearTransfer(world.sources, world.X[:600]),
            "operators": OperatorTransfer(FEATURES, world.X[:600]),
        }
        for name, predictor in made.items():
            ranks[name] += [world.error(predictor, 20, seed)[0] for seed in range(3)]
    means = {name: np.mean(found) for name, found in ranks.items()}
    assert max(means, key=means.__getitem__) == "shared"


def test_intervals_hold_about_nine_tenths() -> None:
    worlds = [World(0.7, seed) for seed in range(3)]
    covered = [world.error(world.shared(), 15, draw)[2] for world in worlds for draw in (0, 1, 2, 3)]
    assert 0.8 < np.mean(covered) <= 0.99


def test_chosen_measurements_are_different_and_serve_better_than_random_ones() -> None:
    world = World(alike=0.6, seed=3)
    predictor, pool = world.shared(), world.X[:600]
    chosen = predictor.choose(pool, 8)
    assert len(set(chosen.tolist())) == 8
    predictor.fit(pool[chosen], world.ms[chosen, 4])
    mean, _ = predictor.predict(world.X[600:])
    ours = spearmanr(mean, world.ms[600:, 4])[0]
    random = [world.error(world.shared(), 8, seed)[0] for seed in range(6)]
    assert ours > np.mean(random) - 0.02


def test_what_cannot_be_fitted_is_refused() -> None:
    world = World(0.5)
    predictor = world.shared()
    with pytest.raises(PredictorError, match="call fit"):
        predictor.predict(world.X)
    with pytest.raises(PredictorError, match="at least 3 positive latencies"):
        predictor.fit(world.X[:2], np.ones(2))
    with pytest.raises(PredictorError, match="at least 3 positive latencies"):
        predictor.fit(world.X[:4], np.array([1.0, 2.0, 0.0, 1.0]))
