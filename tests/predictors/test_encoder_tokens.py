"""Tokens: costs are those of the operators, and wires say what reads what."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictors.cells import CELLS
from predictors.encoding import features_of
from predictors.errors import PredictorError
from predictors.token_sequences import ABSENT, AFTER, BEFORE, BESIDE, EARLIER, LATER, SELF, WIDTH
from predictors.tokens import CellTokens, tokens_from
from search_spaces import cost, get_space
from search_spaces.decode import state_size

SPACES = ("hybrid-sequence", "nas-bench-macro")


@pytest.mark.parametrize("name", SPACES)
def test_a_token_an_operator_in_order_and_costs_are_their_sums(name: str) -> None:
    space = get_space(name)
    tokens = tokens_from(features_of(space).definition)
    rows = tokens.sample(20, np.random.default_rng(0))
    found, costs = tokens(rows), tokens.cost(rows)
    for n, row in enumerate(rows):
        specs = space.architecture(row).specs
        assert found.there[n].sum() == len(specs)
        assert found.there[n, : len(specs)].all()
        sums = [(c.macs, c.parameters, c.activations, state_size(s)) for s in specs for c in [cost(s)]]
        assert costs[n] == pytest.approx(np.sum(sums, axis=0))
        one = found.relations[n, : len(specs), : len(specs)]
        places = np.arange(len(specs))
        wanted = {0: SELF, 1: AFTER, -1: BEFORE}
        for i, j in itertools.product(places, places):
            assert one[i, j] == wanted.get(j - i, LATER if j > i else EARLIER)
        assert (found.relations[n, len(specs) :] == ABSENT).all()


@settings(max_examples=40, deadline=None)
@given(codes=st.lists(st.integers(0, 4), min_size=6, max_size=6))
def test_relations_of_a_cell_are_those_of_its_graph(codes: list[int]) -> None:
    cell = CELLS["nas-bench-201"]
    X = np.array([codes])
    found = CELL(X)
    live = [edge for edge, code in zip(cell.edges, cell.live(X)[0], strict=True) if code != cell.none]
    assert found.there[0].sum() == len(live)
    graph = nx.DiGraph()
    graph.add_nodes_from(live)
    graph.add_edges_from((a, b) for a in live for b in live if a[1] == b[0])
    for (i, a), (j, b) in itertools.product(enumerate(live), enumerate(live)):
        if a == b:
            wanted = SELF
        elif graph.has_edge(a, b):
            wanted = AFTER
        elif graph.has_edge(b, a):
            wanted = BEFORE
        elif nx.has_path(graph, a, b):
            wanted = LATER
        elif nx.has_path(graph, b, a):
            wanted = EARLIER
        else:
            wanted = BESIDE
        assert found.relations[0, i, j] == wanted
        assert found.places[0, i, 0] == pytest.approx(np.log1p(len(nx.ancestors(graph, a))))
        assert found.places[0, i, 1] == pytest.approx(np.log1p(len(nx.descendants(graph, a))))


CELL = CellTokens(CELLS["nas-bench-201"])


def test_what_a_token_says_tells_the_operators_of_a_space_apart() -> None:
    for definition in ({"kind": "cell", "name": "transnas-micro"}, {"kind": "codes", "cardinalities": [3, 4, 3]}):
        vocabulary = tokens_from(definition).vocabulary
        assert vocabulary.shape[1] == WIDTH
        assert len(np.unique(vocabulary, axis=0)) == len(vocabulary)


def test_a_wired_network_has_the_relations_of_its_points() -> None:
    space = get_space("nas-bench-201")
    tokens = tokens_from({"kind": "space", "space": space.definition})
    row = np.array([[2, 0, 0, 0, 0, 3]])
    nodes, found = space.architecture(row[0]).nodes, tokens(row)
    assert found.there[0].sum() == len(nodes)
    for i, j in itertools.product(range(len(nodes)), range(len(nodes))):
        reads = nodes[j].source == nodes[i].target if nodes[j].source else j == i + 1
        assert (found.relations[0, i, j] == AFTER) == reads


def test_unknown_features_are_refused() -> None:
    with pytest.raises(PredictorError, match="legal for tokens"):
        tokens_from({"kind": "pictures"})
