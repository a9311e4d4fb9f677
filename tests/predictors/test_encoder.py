"""The encoder: what is free teaches it, it learns scores, knows how sure it is, and comes back from files the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from predictors import encoder_training
from predictors.cell_features import CellFeatures
from predictors.cells import CELLS
from predictors.code_features import CodeFeatures
from predictors.encoder import EncoderPredictor, free_task, known_encoder, load_encoder, save_encoder
from predictors.encoder_network import Encoder, ranking_loss
from predictors.encoder_training import embed, pretrain, read
from predictors.encoding import features_of
from predictors.errors import PredictorError
from predictors.tokens import CellTokens, tokens_from
from search_spaces import get_space

FEATURES = CellFeatures(CELLS["nas-bench-201"])
TOKENS = CellTokens(CELLS["nas-bench-201"])
RAW = Encoder(torch.Generator().manual_seed(0)).requires_grad_(False)  # never pre-trained: costs nothing


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_training, "EPOCHS", 6)
    monkeypatch.setattr(encoder_training, "TUNE_STEPS", (60, 60))


def worth(X: np.ndarray) -> np.ndarray:
    """A score of a cell's graph that no single edge tells: its work along live paths, with less and less return."""
    return 90 - 40 / np.sqrt(1 + TOKENS.cost(X)[:, 0] / 1e6)


def rows(count: int, seed: int) -> np.ndarray:
    return TOKENS.sample(count, np.random.default_rng(seed))


def test_it_learns_is_sure_where_it_is_right_and_repeats_itself() -> None:
    X, new = rows(60, 1), rows(300, 2)
    first, second = (EncoderPredictor(FEATURES, 3, encoder=RAW).fit(X, worth(X)) for _ in range(2))
    mean, std = first.predict(new)
    assert spearmanr(mean, worth(new))[0] > 0.85
    assert (std > 0).all()
    assert (np.abs(mean - worth(new)) <= 1.645 * std).mean() > 0.75
    again = second.predict(new)
    assert np.array_equal(mean, again[0])
    assert np.array_equal(std, again[1])


@pytest.mark.parametrize("joined", [False, True])
def test_a_saved_predictor_predicts_the_same(joined: bool, tmp_path: Path) -> None:
    X, new = rows(12, 1), rows(50, 2)
    made = EncoderPredictor(FEATURES, 1, joined, RAW).fit(X, worth(X))
    made.save(tmp_path / "predictor.npz")
    loaded = EncoderPredictor.load(tmp_path / "predictor.npz")
    for mine, its in zip(made.predict(new), loaded.predict(new), strict=True):
        assert np.array_equal(mine, its)


def test_pre_training_makes_costs_a_line_of_the_embedding(tmp_path: Path) -> None:
    trained = pretrain([free_task(FEATURES)], 0)
    save_encoder(trained, tmp_path / "encoder.npz")
    loaded = load_encoder(tmp_path / "encoder.npz")
    X, new = rows(800, 5), rows(300, 6)

    def explained(encoder: Encoder, what: Callable[[np.ndarray], np.ndarray]) -> float:
        """Share of the variance of new ones."""
        A, B = (np.column_stack((embed(encoder, TOKENS, x), np.ones(len(x)))) for x in (X, new))
        y, true = what(X), what(new)
        varies = y.std(axis=0) > 0
        guess = B @ np.linalg.lstsq(A, y[:, varies], rcond=None)[0]
        return float(1 - (((guess - true[:, varies]) ** 2).mean(axis=0) / true[:, varies].var(axis=0)).mean())

    def costs(X: np.ndarray) -> np.ndarray:
        return np.log1p(TOKENS.cost(X)[:, :3])

    assert explained(trained, costs) > max(0.98, explained(RAW, costs))
    assert np.array_equal(embed(loaded, TOKENS, new), embed(trained, TOKENS, new))
    with pytest.raises(PredictorError, match="lacks"):
        EncoderPredictor.load(tmp_path / "encoder.npz")


def test_scores_known_of_another_task_help() -> None:
    known, few, new = rows(500, 7), rows(8, 8), rows(300, 9)
    codes = CodeFeatures([5] * 6)  # of which nothing is free that tells their worth
    encoder = known_encoder([(codes, known, worth(known)[:, None] ** 2)])
    taus = [
        spearmanr(EncoderPredictor(codes, 0, encoder=start).fit(few, worth(few)).predict(new)[0], worth(new))[0]
        for start in (RAW, encoder)
    ]
    assert taus[1] > max(taus[0], 0.6)


def test_it_takes_any_space_of_ours_and_two_rows() -> None:
    for name in ("hybrid-sequence", "nas-bench-macro"):
        space = get_space(name)
        X = space.sample(6, np.random.default_rng(0))
        made = EncoderPredictor(features_of(space), encoder=RAW).fit(X[:2], np.array([1.0, 2.0]))
        assert all(np.isfinite(part).all() for part in made.predict(X))


def test_padding_and_what_is_read_beside_change_nothing() -> None:
    tokens = tokens_from(FEATURES.definition)
    X = np.array([[3, 0, 0, 0, 0, 3], [2, 3, 3, 1, 2, 4], [0] * 6])
    together = RAW(*read(tokens, X))
    alone = torch.cat([RAW(*read(tokens, X[[n]])) for n in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_ranking_loss_is_least_in_the_right_order() -> None:
    true = torch.arange(6.0)
    assert ranking_loss(true, true) < ranking_loss(torch.zeros(6), true) < ranking_loss(-true, true)


def test_mistakes_are_refused(tmp_path: Path) -> None:
    made = EncoderPredictor(FEATURES, encoder=RAW)
    with pytest.raises(PredictorError, match="call fit"):
        made.predict(rows(2, 0))
    with pytest.raises(PredictorError, match="call fit"):
        made.save(tmp_path / "none")
    with pytest.raises(PredictorError, match="X: expected 2 or more rows of 6 genes"):
        made.fit(rows(4, 0)[:, :5], np.zeros(4))
    with pytest.raises(PredictorError, match="y: expected 4 finite scores"):
        made.fit(rows(4, 0), np.array([1.0, np.nan, 2.0, 3.0]))
    with pytest.raises(PredictorError, match="known: got none"):
        known_encoder([])
    with pytest.raises(PredictorError, match="known: expected finite values"):
        known_encoder([(FEATURES, rows(3, 0), np.zeros((2, 1)))])
