"""What a profile measures: spread, unique, disjoint; and a real small table."""

import numpy as np
import pytest

from nas.latency.profile import choose_networks, choose_operators, plan_profile, refusal
from search_spaces import cost, make_space

SPACE = make_space({"name": "hybrid-vision", "preset": "tiny", "resolutions": [8, 12], "in_channels": 1, "classes": 10})


@pytest.mark.parametrize("count", [30, 100, 10**6])
def test_chosen_operators_are_unique_and_cover_every_name(count: int) -> None:
    specs = SPACE.specs()
    chosen = choose_operators(specs, count)
    assert len(chosen) == len(set(chosen)) <= count
    assert {spec.name for spec in chosen} == {spec.name for spec in specs}
    if count >= len(specs):
        assert chosen == specs


def test_chosen_operators_spread_better_than_random_ones() -> None:
    """The largest distance from any spec to its nearest chosen one, per operator, is what the design keeps small."""
    group = [spec for spec in SPACE.specs() if spec.name == "mbconv"]
    points = np.log1p([[v for _, v in s.sizes] + list(s.shape) for s in group])
    points = points / np.maximum(np.ptp(points, axis=0), 1e-9)

    def cover(indices: list[int]) -> float:
        return float(np.linalg.norm(points[:, None] - points[indices][None], axis=2).min(1).max())

    designed = [group.index(s) for s in choose_operators(group, 12)]
    rng = np.random.default_rng(0)
    random = [cover(list(rng.choice(len(group), 12, replace=False))) for _ in range(20)]
    assert cover(designed) < np.median(random)


def test_networks_are_different_and_reach_the_fast_end() -> None:
    chosen = choose_networks(SPACE, 40, np.random.default_rng(0))
    assert len({a.hash for a in chosen}) == 40
    macs = np.sort([sum(cost(spec).macs for spec in a.specs) for a in chosen])
    random = SPACE.additive(lambda spec: cost(spec).macs).score(SPACE.sample(1000, np.random.default_rng(1)))
    assert macs[0] < np.quantile(random, 0.02)
    assert macs[-1] > np.quantile(random, 0.98)


def test_networks_that_judge_the_table_are_none_that_fit_it() -> None:
    plan = plan_profile(SPACE, 50, 20, 30, seed=3)
    fit, validate = {a.hash for a in plan.fit}, {a.hash for a in plan.validate}
    assert (len(fit), len(validate)) == (20, 30)
    assert not fit & validate
    assert plan == plan_profile(SPACE, 50, 20, 30, seed=3)


def test_operators_that_a_runtime_refuses_are_named_with_their_reasons_before_anything_is_measured() -> None:
    one, two = (next(spec for spec in SPACE.specs() if spec.name == name) for name in ("mhsa", "mbconv"))
    said = refusal(
        "ncnn", {one.canonical: "a 5-D tensor", two.canonical: "torch.narrow", '{"genes": {}}': "a 5-D tensor"}
    )
    assert said.startswith("runtime 'ncnn' cannot run 2 operators")
    assert said.endswith("mbconv: torch.narrow; mhsa: a 5-D tensor")
    assert "a whole network: broken" in refusal("ncnn", {'{"genes": {}}': "broken"})
