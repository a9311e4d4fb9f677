"""A plan and its rounds: disjoint networks, a reason to stop, and a real small table."""

import numpy as np
import pytest

from nas.latency.plan import ProfilePlan, choose_networks, plan_profile
from nas.latency.profile import measure_table
from nas.latency.rig import refusal
from nas.progress import Silent
from search_spaces import cost, make_space

SPACE = make_space({"name": "hybrid-vision", "preset": "tiny", "resolutions": [8, 12], "in_channels": 1, "classes": 10})


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
    assert len(plan.operators) < plan.most == 50
    assert plan == plan_profile(SPACE, 50, 20, 30, seed=3)


@pytest.fixture(scope="module")
def plan() -> ProfilePlan:
    return plan_profile(SPACE, 20, 5, 4)


@pytest.mark.parametrize(
    ("goal", "minutes", "stopped", "operators"),
    [(None, None, "probes", 20), (1.0, None, "error", 14), (None, 0.0, "minutes", 14)],
)
def test_probing_stops_at_the_goal_at_the_time_or_when_the_probes_are_spent(
    plan: ProfilePlan, goal: float | None, minutes: float | None, stopped: str, operators: int, brief: None
) -> None:
    table = measure_table(SPACE, "torch", plan, Silent(), goal=goal, minutes=minutes)
    assert table.header["probing"]["stopped"] == stopped
    assert len(table.operators) == operators
    assert table.networks["role"].value_counts().to_dict() == {"fit": 5, "validate": 4}


def test_operators_that_a_runtime_refuses_are_named_with_their_reasons_before_anything_is_measured() -> None:
    one, two = (next(spec for spec in SPACE.specs() if spec.name == name) for name in ("mhsa", "mbconv"))
    said = refusal(
        "ncnn", {one.canonical: "a 5-D tensor", two.canonical: "torch.narrow", '{"genes": {}}': "a 5-D tensor"}
    )
    assert said.startswith("runtime 'ncnn' cannot run 2 operators")
    assert said.endswith("mbconv: torch.narrow; mhsa: a 5-D tensor")
    assert "a whole network: broken" in refusal("ncnn", {'{"genes": {}}': "broken"})
