"""The text side: intervals, hypervolume over seeds, operators by stage, the front for terminal and markdown."""

from __future__ import annotations

import json
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import binomtest

from nas.report.tables import (
    by_stage,
    front_markdown,
    front_table,
    hypervolume_summary,
    layers,
    operator_mix,
    short_mixers,
    wilson,
)
from nas.report.words import count, listed, ms
from search_spaces import Architecture, get_space


@given(
    st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.9, 0.95])
)
def test_wilson_is_that_of_scipy(case, confidence):
    successes, n = case
    ours = wilson(successes, n, confidence)
    theirs = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert 0 <= ours[0] <= successes / n <= ours[1] <= 1


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 5), (6, 5), (float("nan"), 5)])
def test_wilson_refuses_what_is_no_share(successes, n):
    with pytest.raises(ValueError, match="successes"):
        wilson(successes, n)


def test_hypervolume_summary_is_that_of_a_plain_loop(device):
    rows = device.hypervolumes.sample(frac=1, random_state=0)
    summary = hypervolume_summary(rows).set_index("search")
    finals: dict[str, list[float]] = {}
    for search in set(rows["search"]):
        for seed in set(rows["seed"]):
            own = rows[(rows["search"] == search) & (rows["seed"] == seed)]
            finals.setdefault(search, []).append(
                own.loc[own["evaluations"] == own["evaluations"].max(), "hypervolume"].item()
            )
    assert set(summary.index) == set(finals)
    for search, values in finals.items():
        row = summary.loc[search]
        assert row["seeds"] == 3
        assert row["evaluations"] == 40
        assert row[["mean", "min", "max"]].tolist() == pytest.approx([np.mean(values), min(values), max(values)])
        assert row["std"] == pytest.approx(np.std(values, ddof=1))
        assert row["ratio_to_random"] == pytest.approx(np.mean(values) / np.mean(finals["random"]))


def test_hypervolume_summary_without_random_or_with_one_seed():
    rows = pd.DataFrame(
        [("nsga2", 0, 1, 0.5), ("nsga2", 0, 2, 0.7)], columns=["search", "seed", "evaluations", "hypervolume"]
    )
    (row,) = hypervolume_summary(rows).itertuples()
    assert (row.mean, row.min, row.max, row.seeds) == (0.7, 0.7, 0.7, 1)
    assert np.isnan(row.std)
    assert np.isnan(row.ratio_to_random)
    assert hypervolume_summary(rows[:0]).empty


def test_operator_mix_counts_every_layer_and_shares_sum_to_one(device):
    mix = operator_mix(device.front)
    assert mix.groupby(["hash", "stage"])["share"].sum().to_numpy() == pytest.approx(1)
    for member in device.front.itertuples():
        architecture = Architecture.from_json(json.loads(member.genes))
        depths = {s: architecture.values[f"stage{s}.depth"] for s in (1, 2, 3)}
        own = mix[mix["hash"] == member.hash]
        assert own.groupby("stage")["count"].sum().to_dict() == depths
    assert mix["latency_ms"].is_monotonic_increasing
    assert set(mix["family"]) <= {"conv", "attention", "linear attention", "ssm", "other"}


def test_layers_are_the_nodes_that_run():
    space = get_space("hybrid-vision/tiny")
    for row in space.sample(50, np.random.default_rng(0)):
        architecture = space.architecture(row)
        for text in (json.dumps(architecture.to_json()), json.dumps(architecture.values)):
            keys = [f"stage{at.stage}.layer{at.layer}.{at.mixer}" for at in layers(text)]
            assert [key for key in (node.key for node in architecture.nodes) if key in keys] == keys
            assert len(short_mixers(text)) == len(keys) + 2
            assert sum(map(len, by_stage(text).values())) == len(keys)


def test_an_operator_of_a_later_release_is_shown_and_belongs_to_no_family():
    front = pd.DataFrame({"hash": ["a"], "latency_ms": [1.0], "genes": ['{"stage1.layer1.mixer": "quantum"}']})
    assert operator_mix(front)[["mixer", "family"]].to_numpy().tolist() == [["quantum", "other"]]


def test_front_table_shows_every_member_in_80_columns_and_in_120(device):
    for width in (80, 120):
        out = StringIO()
        Console(file=out, width=width).print(front_table(device))
        lines = out.getvalue().splitlines()
        assert max(map(len, lines)) <= width
        for member in device.front.itertuples():
            (line,) = [line for line in lines if member.hash in line]
            assert f"{100 * member.accuracy:.1f} %" in line
            if width == 120:
                assert f"{ms(member.latency_ms)}\u00a0±" in line
                assert line.count("–") == (2 if np.isnan(member.test_accuracy) else 0)
        assert sum(" * " in line for line in lines) >= 1


def test_front_markdown_is_a_table_with_every_member(device):
    table, _, note = front_markdown(device).partition("\n\n")
    lines = table.splitlines()
    assert len(lines) == 2 + len(device.front)
    assert len({line.count("|") for line in lines}) == 1
    for member, line in zip(device.members.itertuples(), lines[2:], strict=True):
        assert member.hash in line
        assert all(mixer in line for mixer in by_stage(member.genes)[1])
    assert "90 %" in note


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.012345, "0.0123"), (0.31, "0.310"), (1.2, "1.20"), (12.34, "12.3"), (1234.5, "1234"), (0.0, "0")],
)
def test_latencies_keep_three_digits(value, text):
    assert ms(value) == text


def test_words():
    assert [count(v) for v in (12, 1234, 5.67e6, 2e9, float("nan"))] == ["12", "1.23 k", "5.67 M", "2 G", "–"]
    assert [listed(w) for w in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
