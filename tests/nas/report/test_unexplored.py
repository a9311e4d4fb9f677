"""What was never explored: exactly what is missing, no more, and what cannot be known."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.report.genes import gene_counts
from nas.report.unexplored import SHOWN, empty_parts, unexplored
from search_spaces import get_space


def test_what_was_left_out_is_told(device):
    space = get_space("hybrid-vision/tiny")
    some = space.restrict({"stage2.layer*.mixer": ["mhsa", "mbconv", "identity"], "resolution": [16, 24]})
    rows = some.sample(3000, np.random.default_rng(0))
    genes = gene_counts(space, rows[:5], rows)
    values, mixers, latencies = unexplored(dataclasses.replace(device, genes=genes))
    assert "resolution = 32" in values
    assert f"of {len(genes)} gene values were never evaluated" in values
    offered = set(space.choices[space.index["stage2.layer1.mixer"]].values)
    missing = sorted(offered - {"mhsa", "mbconv", "identity"})
    assert mixers.startswith(f"{len(missing)} of {3 * len(offered)} pairs")
    assert all(f"{mixer} in stage2" in mixers for mixer in missing)
    assert "mhsa in" not in mixers
    assert "stage1" not in mixers
    assert "0.0500 ms" in latencies


def test_a_long_list_is_cut_and_counted(device):
    never = dataclasses.replace(device, genes=device.genes.assign(evaluated=0))
    genes = device.genes["gene"].nunique()
    assert f" and {genes - SHOWN} more." in unexplored(never)[0]


def test_nothing_missing_is_said_too(device):
    genes = device.genes.assign(evaluated=1)
    evaluations = device.evaluations.assign(latency_ms=np.geomspace(0.051, 1.399, len(device.evaluations)))
    full = dataclasses.replace(device, genes=genes, evaluations=evaluations)
    values, mixers, latencies = unexplored(full)
    assert values == f"Each of the {len(genes)} gene values was evaluated at least once."
    assert mixers.startswith("Every mixer was evaluated in every stage")
    assert "holds an evaluated network" in latencies
    assert "the limit (1.40 ms)" in latencies
    assert "the slowest (1.40 ms)" in unexplored(dataclasses.replace(full, max_latency_ms=None))[-1]


def test_a_run_without_genes_says_so(device):
    old = dataclasses.replace(device, genes=device.genes.drop(columns="evaluated"), latency_range_ms=None)
    for bare in (old, dataclasses.replace(old, genes=None)):
        (said,) = unexplored(bare)
        assert "earlier releases" in said


@given(st.lists(st.floats(0.5, 20.0), max_size=30), st.integers(1, 12))
def test_empty_parts_and_full_parts_make_up_the_range(values, parts):
    gaps = empty_parts(np.array(values), 1.0, 10.0, parts)
    assert all(not start < value < end for value in values for start, end in gaps)
    width = np.log(10.0) / parts
    empty = sum(np.log(end / start) for start, end in gaps) / width
    inside = [value for value in values if 1.0 <= value <= 10.0]
    full = len({min(int(np.log(value) / width + 1e-12), parts - 1) for value in inside})
    assert empty + full == pytest.approx(parts, abs=1e-6)
    assert all(end < start for (_, end), (start, _) in pairwise(gaps))
