"""What transfer is made of: known devices that are as wrong of rows they have seen as of others, and operators wherever
they are."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from predictors import additive
from predictors.additive import Additive
from predictors.cell_features import CellFeatures
from predictors.cells import CELLS
from predictors.code_features import CodeFeatures
from predictors.encoding import features_of
from predictors.learners import Process, distances
from predictors.operator_shares import OperatorShares, operator_kinds
from predictors.sources import LearntSources, RememberedSources
from predictors.transfer import TransferPredictor
from predictors.transfer_ways import ways
from search_spaces import make_space

GENES, CODES = 10, 4
FEATURES = CodeFeatures([CODES] * GENES)
RNG = np.random.default_rng(0)
X = RNG.integers(CODES, size=(900, GENES))
COSTS = [RNG.gamma(1.0, size=(GENES, CODES)) for _ in range(4)]
EXACT = np.stack([cost[np.arange(GENES), X].sum(axis=1) for cost in COSTS], axis=1)
MS = EXACT * np.exp(0.1 * RNG.normal(size=EXACT.shape))


@pytest.fixture(scope="module")
def sources() -> LearntSources:
    return LearntSources(FEATURES, X[:300], MS[:300])


def test_a_sum_tells_each_row_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without penalty and weights, what is kept of a fit without the row is nothing: all of it can be done again."""
    monkeypatch.setattr(additive, "PENALTIES", np.array([1e-14]))
    monkeypatch.setattr(additive, "ROUNDS", 0)
    rng = np.random.default_rng(1)
    F = rng.uniform(1, 2, size=(25, 3))
    y = np.log(F @ [1.0, 2.0, 3.0]) + 0.1 * rng.normal(size=25)
    left = Additive().fit(F, F, y).left
    for i in range(25):
        rest = np.arange(25) != i
        assert left[i] == pytest.approx(Additive().fit(F[rest], F[rest], y[rest]).predict(F[[i]], F)[0], abs=1e-6)


def test_a_process_tells_each_row_without_it() -> None:
    rng = np.random.default_rng(2)
    Z = rng.normal(size=(30, 2))
    y = Z[:, 0] + 0.3 * rng.normal(size=30)
    process = Process().fit(Z, Z, y)
    distance = distances(Z, Z)
    near = np.exp(-distance / (2 * np.median(distance)))

    def without(noise: float) -> np.ndarray:
        found = []
        for i in range(30):
            rest = np.arange(30) != i
            weights = np.linalg.solve(near[np.ix_(rest, rest)] + noise * np.eye(29), y[rest] - y.mean())
            found.append(y.mean() + near[i, rest] @ weights)
        return np.array(found)

    best = min(map(without, (0.01, 0.03, 0.1, 0.3, 1.0)), key=lambda left: float(((y - left) ** 2).mean()))
    assert process.left == pytest.approx(best, abs=1e-8)


def test_known_devices_are_as_wrong_of_rows_they_have_seen_as_of_others(sources: LearntSources) -> None:
    """Else a new device, measured on such rows, would seem to follow them more closely than it does."""
    error = np.abs(sources(X) - np.log(MS))
    assert error[:300].mean() == pytest.approx(error[300:].mean(), rel=0.1)
    assert error[300:].mean() < 2 * np.abs(np.log(MS / EXACT)).mean()


def test_asked_again_sources_say_the_same(sources: LearntSources) -> None:
    remembered = RememberedSources(sources, X[200:400])
    rows = X[np.array([399, 200, 250, 250])]
    assert np.allclose(remembered(rows), sources(rows), atol=1e-9)


def test_operators_of_codes_are_alike_wherever_they_are() -> None:
    kinds = operator_kinds(FEATURES)
    assert np.array_equal(FEATURES(X[:50])[:, : FEATURES.genes] @ np.eye(CODES)[kinds], _counts(X[:50], CODES))
    assert len(set(operator_kinds(CodeFeatures([2, 3])))) == 5  # nothing says that these are alike


@pytest.mark.parametrize("name", CELLS)
def test_operators_of_cells_are_written_or_connected(name: str) -> None:
    features = CellFeatures(CELLS[name])
    codes = len(features.cell.operations)
    assert len(operator_kinds(features)) == 2 * features.genes
    rows = np.random.default_rng(3).integers(codes, size=(300, features.columns))
    known = np.log(1.0 + rows.sum(axis=1, keepdims=True))
    counts, _ = OperatorShares(features, rows, known)(rows)
    for wanted, found in zip(_counts(rows, codes).T, counts[:, :codes].T, strict=True):
        assert abs(np.corrcoef(wanted, found)[0, 1]) > 1 - 1e-9


def test_genes_of_a_space_are_alike_where_only_numbers_differ() -> None:
    space = make_space({"name": "hybrid-vision", "preset": "tiny", "resolutions": [8, 12], "in_channels": 1})
    features = features_of(space)
    kinds = operator_kinds(features)
    names = [(re.sub(r"\d+", "*", c.name), v) for c in space.choices for v in c.values]
    assert len(kinds) == features.genes == len(names)
    assert {(kind, name) for kind, name in zip(kinds, names, strict=True)} == {
        (kinds[names.index(name)], name) for name in names
    }
    assert len(set(kinds)) < features.genes / 2


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(GENES)))
def test_where_an_operator_is_changes_its_share_and_not_its_count(order: list[int]) -> None:
    blocks = OperatorShares(FEATURES, X, np.log(EXACT))
    (counts, _), (again, _) = blocks(X[:20]), blocks(X[:20, order])
    assert np.allclose(counts, again)
    for block in blocks(X):
        assert (block**2).sum(axis=1).mean() == pytest.approx(1.0)


def test_shares_follow_the_time_that_known_devices_take() -> None:
    """An operator that costs the same as the mean of its place, wherever it is, has none of what differs."""
    cost = np.tile([0.0, 1.0, 3.0, 4.0 / 3.0], (GENES, 1))  # the last is the mean of all
    _, shares = OperatorShares(FEATURES, X, np.log(10.0 + cost[np.arange(GENES), X].sum(axis=1))[:, None])(X)
    spread = shares.std(axis=0)
    assert spread[2] > spread[0] > spread[1]
    assert spread[3] < 0.2 * spread[0]


def test_every_way_is_a_prior() -> None:
    found = ways(blocks=5, devices=3, near=3)
    assert len(found) == len(set(found))
    assert {way.base for way in found} == {0, 1, 2, 3}
    assert {way.block for way in found} == set(range(5))
    for way in found:
        assert min(way.trust, way.differing, way.operators) >= 0
        assert max(way.trust, way.differing, way.operators) > 0


def test_five_measurements_find_the_known_device_that_is_the_same(sources: LearntSources) -> None:
    """The others have nothing in common with it, so that what all have in common is of little use."""
    predictor = TransferPredictor(sources, FEATURES, X[:300])
    for device in range(4):
        mean, _ = predictor.fit(X[300:305], 7.0 * EXACT[300:305, device]).predict(X[305:])
        assert spearmanr(mean, EXACT[305:, device])[0] > 0.95


def _counts(rows: np.ndarray, codes: int) -> np.ndarray:
    return np.stack([(rows == code).sum(axis=1) for code in range(codes)], axis=1)
