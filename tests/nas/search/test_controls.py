"""The controls: which mixers each of them may use, and at what cost."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np

from nas.job import CONTROLS, Control, SearchSection
from nas.search import control_names, control_searcher, control_spaces, run_search, searcher_names
from search_spaces.operators import family
from search_spaces.space import SearchSpace

FAMILIES = {
    "conv": {"conv", "other"},
    "attention": {"attention", "linear attention", "other"},
    "ssm": {"ssm", "other"},
    "no-ssm": {"conv", "attention", "linear attention", "other"},
    "linear-attention": {"linear attention", "other"},
}


def mixers(space: SearchSpace, X: np.ndarray) -> set[str]:
    """Names of the mixers in rows (n, G)."""
    active = space.active(X)
    return {
        str(choice.values[value])
        for g, choice in enumerate(space.choices)
        if choice.name.endswith(".mixer")
        for value in np.unique(X[active[:, g], g])
    }


def test_every_control_uses_its_families_and_all_of_them(known: Any) -> None:
    spaces = control_spaces(known.space)
    assert tuple(spaces) == control_names() == ("random", "local-search", *FAMILIES)
    assert spaces["random"] is spaces["local-search"] is known.space
    full = mixers(known.space, known.space.sample(3000, np.random.default_rng(0)))
    for name, families in FAMILIES.items():
        space = spaces[name]
        found = mixers(space, space.sample(3000, np.random.default_rng(0)))
        assert found == {mixer for mixer in full if family(mixer) in families}
    assert "gated_conv" in mixers(spaces["no-ssm"], spaces["no-ssm"].sample(3000, np.random.default_rng(0)))


def test_a_control_is_searched_in_the_encoding_of_the_full_space(known: Any) -> None:
    for name, space in control_spaces(known.space).items():
        searcher = control_searcher(name, "nsga2")
        assert searcher == (name if name in searcher_names() else "nsga2")
        result = run_search(space, searcher, known.accuracy, known.latency, evaluations=30, population=15)
        assert len(result.X) == 30
        assert result.searcher == searcher
        assert np.array_equal(known.space.canonicalise(result.X), result.X)


def test_a_job_may_ask_for_every_control_there_is() -> None:
    assert set(get_args(Control)) == set(control_names())
    assert set(CONTROLS) < set(control_names())
    section = SearchSection(controls=control_names())
    assert section.controls == control_names()


def test_a_control_that_does_not_exist_is_left_out(known: Any) -> None:
    conv_only = control_spaces(known.space)["conv"]
    assert set(control_spaces(conv_only)) == {"random", "local-search"}
    without_identity = known.space.restrict({"stage*.layer*.mixer": ["mbconv", "mhsa"]})
    assert set(control_spaces(without_identity)) == {"random", "local-search", "conv", "attention"}
