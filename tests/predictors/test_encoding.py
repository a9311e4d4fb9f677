"""Features of every kind: of the width they say, one-hot first, and made again from their definition."""

from __future__ import annotations

import json

import numpy as np
import pytest

from predictors import PredictorError, features_of
from predictors.cell_features import CellFeatures
from predictors.cells import CELLS
from predictors.code_features import CodeFeatures
from predictors.encoding import Features, features_from
from predictors.features import ArchitectureFeatures, spec_features
from search_spaces.space import SearchSpace
from search_spaces.spaces import get_space
from search_spaces.spec import OperatorSpec

TINY = get_space("hybrid-vision/tiny")
KINDS: dict[str, tuple[Features, np.ndarray]] = {
    "space": (ArchitectureFeatures(TINY), TINY.sample(30, np.random.default_rng(0))),
    "codes": (CodeFeatures([3, 3, 3, 3]), np.random.default_rng(0).integers(3, size=(30, 4))),
    "uneven codes": (CodeFeatures([2, 5]), np.random.default_rng(0).integers(2, size=(30, 2))),
    **{name: (CellFeatures(cell), np.random.default_rng(0).integers(4, size=(30, 6))) for name, cell in CELLS.items()},
}


@pytest.mark.parametrize("name", KINDS)
def test_features_are_what_they_say(name: str) -> None:
    features, X = KINDS[name]
    found = features(X)
    assert found.shape == (30, features.width)
    assert found.dtype == np.float32
    assert X.shape[1] == features.columns
    assert set(np.unique(found[:, : features.genes])) <= {0.0, 1.0}
    again = features_from(json.loads(json.dumps(features.definition)))
    assert np.array_equal(again(X), found)
    assert np.array_equal(features(X[3:5]), found[3:5])


@pytest.mark.parametrize(
    ("space", "kind"),
    [
        ("nas-bench-201", CellFeatures),
        ("nas-bench-macro", ArchitectureFeatures),
        ("hybrid-sequence", ArchitectureFeatures),
    ],
)
def test_a_space_has_the_features_that_suit_it(space: str, kind: type) -> None:
    made: SearchSpace = get_space(space)
    features = features_of(made)
    assert isinstance(features, kind)
    assert features(made.sample(4, np.random.default_rng(0))).shape == (4, features.width)


@pytest.mark.parametrize(
    "definition",
    [
        {},
        {"kind": "cell", "name": "darts"},
        {"kind": "codes"},
        {"kind": "codes", "cardinalities": [2, "x"]},
        {"kind": "?"},
    ],
)
def test_what_is_no_definition_is_refused(definition: dict[str, object]) -> None:
    with pytest.raises(PredictorError, match=r"legal: kind space, cell .nas-bench-201, transnas-micro. or codes"):
        features_from(definition)


def test_counts_of_codes_are_of_the_row_and_its_halves() -> None:
    features = CodeFeatures([3] * 4)
    found = features(np.array([[0, 2, 2, 1]]))[0]
    assert found[features.genes :].tolist() == [1, 1, 2, 1, 0, 1, 0, 1, 1]


@pytest.mark.parametrize(("shape", "alignment"), [((24, 9, 3), [0, 3]), ((64, 4, 4), [2, 4]), ((6, 6, 1), [1, 1])])
def test_operator_features_know_how_sizes_are_aligned(shape: tuple[int, ...], alignment: list[int]) -> None:
    spec = OperatorSpec.of("identity", shape, dim=shape[0])
    assert spec_features([spec], [])[0, 4:].tolist() == alignment
