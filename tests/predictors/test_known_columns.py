"""An encoder that is taught more scores than predictors can start from says so, and keeps the first ones."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from predictors.code_features import CodeFeatures
from predictors.encoder import known_encoder
from predictors.encoder_network import KNOWN

CODES = CodeFeatures([3, 3, 3])
ROWS = np.array(np.meshgrid(*[range(3)] * 3)).reshape(3, -1).T
SCORES = np.random.default_rng(0).normal(size=(len(ROWS), KNOWN + 1))


def test_more_columns_than_are_kept_warn() -> None:
    with pytest.warns(UserWarning, match=f"known: got {KNOWN + 1} columns; .* first {KNOWN}"):
        found = known_encoder([(CODES, ROWS, SCORES)])
    assert (found.known[:-1] != 0).any(dim=0).all()


def test_as_many_as_are_kept_are_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = known_encoder([(CODES, ROWS, SCORES[:, :2])])
    assert (found.known[:, 2:] == 0).all()
    assert found.known[:, :2].any()
