"""The rank study's numbers against scipy, and its choice of architectures."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from nas.bench.ranks import choose_architectures, dominant_family, pair_tau, summarise
from search_spaces import make_space

SPACE = make_space({"name": "hybrid-vision", "preset": "tiny", "resolutions": [8], "in_channels": 1, "classes": 10})


@pytest.mark.parametrize("seed", range(5))
def test_pair_tau_over_all_pairs_is_kendalls_tau_b(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(6, size=15) / 6, rng.integers(6, size=15) / 6  # with ties
    assert pair_tau(x, y, np.ones((15, 15), bool)) == pytest.approx(kendalltau(x, y)[0])


def test_across_and_within_families_split_the_pairs() -> None:
    """Two families, each in perfect order inside, the wrong way round between them."""
    means = pd.DataFrame(
        {
            "hash": list("abcdef"),
            "family": ["conv"] * 3 + ["ssm"] * 3,
            "inherited_accuracy": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
            "standalone_accuracy": [0.7, 0.8, 0.9, 0.1, 0.2, 0.3],
        }
    )
    found = summarise(means, means.assign(seed=0), draws=200)
    assert found["within_families"]["kendall"] == pytest.approx(1)
    assert found["across_families"]["kendall"] == pytest.approx(-1)
    assert found["overall"]["kendall"] == pytest.approx((6 - 9) / 15)
    assert found["overall"]["low"] <= found["overall"]["kendall"] <= found["overall"]["high"]


def test_chosen_architectures_span_the_families() -> None:
    chosen = choose_architectures(SPACE, 24, 0)
    assert len({a.hash for a in chosen}) == 24
    families = [dominant_family(a) for a in chosen]
    assert {"conv", "ssm"} <= set(families)
    assert {"attention", "linear attention"} & set(families)
