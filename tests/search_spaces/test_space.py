"""Genes, populations and canonical form, by properties and by brute force on spaces small enough to list."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import (
    Architecture,
    Choice,
    OperatorSpec,
    SearchSpace,
    Slot,
    SpaceError,
    cost,
    get_space,
    macs,
    make_space,
    presets,
    row_keys,
    space_names,
)

SPACES = [get_space(f"{name}/{preset}") for name in space_names() for preset in presets(name)]
SMALL = SearchSpace(
    "small",
    {},
    [
        Choice("depth", (1, 2)),
        Choice("a.op", ("x", "y")),
        Choice("a.x.k", (3, 5, 7), ("a.op", ("x",))),
        Choice("b.op", ("x", "y", "z"), ("depth", (2,))),
        Choice("b.x.k", (3, 5), ("b.op", ("x", "z"))),
        Choice("b.k.fine", (0, 1), ("b.x.k", (5,))),
    ],
    [Slot("a", ("a.op",), lambda op: OperatorSpec.of("identity", (1, 1, 1), dim=1 if op == "x" else 2))],
)
seeds = st.integers(0, 2**32 - 1)


def listed(space: SearchSpace) -> np.ndarray:
    """Every canonical row, by brute force."""
    rows = np.array(list(itertools.product(*(range(n) for n in space.cardinalities))))
    return np.unique(space.canonicalise(rows), axis=0)


def test_size_is_the_number_of_canonical_rows() -> None:
    assert SMALL.size() == len(listed(SMALL))
    restricted = SMALL.restrict({"*.op": ["x"], "b.x.k": [5]})
    legal = [
        r for r in listed(SMALL) if all(r[g] in restricted.legal[g] for g in np.flatnonzero(SMALL.active(r[None])[0]))
    ]
    assert restricted.size() == len(legal)


@pytest.mark.parametrize("space", [SMALL, *SPACES], ids=lambda s: s.name)
@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_operations_keep_rows_canonical_and_mutation_changes_them(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = space.sample(20, rng), space.sample(20, rng)
    children = {
        "mutate": space.mutate(a, rng),
        "crossover": space.crossover(a, b, rng),
        "rate": space.mutate(a, rng, 0.3),
    }
    for rows in (a, b, *children.values(), space.largest(a), space.smallest(a)):
        assert np.array_equal(rows, space.canonicalise(rows))
        assert ((rows >= 0) & (rows < space.cardinalities)).all()
    assert (children["mutate"] != a).any(1).all()
    assert (children["rate"] != a).any(1).all()


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_crossover_takes_every_gene_from_a_parent_that_has_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    space = SPACES[0]
    a, b = space.sample(10, rng), space.sample(10, rng)
    child = space.crossover(a, b, rng)
    on, in_a, in_b = space.active(child), space.active(a), space.active(b)
    inherited = (in_a & (child == a)) | (in_b & (child == b))
    assert (inherited | ~on | ~(in_a | in_b)).all()


@pytest.mark.parametrize("row", range(5))
def test_neighbours_are_exactly_the_one_gene_changes(row: int) -> None:
    start = listed(SMALL)[row * 3]
    active = SMALL.active(start[None])[0]
    wanted = set()
    for g in np.flatnonzero(active):
        for value in range(SMALL.cardinalities[g]):
            child = start.copy()
            child[g] = value
            wanted.add(tuple(SMALL.canonicalise(child[None])[0]))
    wanted.discard(tuple(start))
    found = {tuple(r) for r in SMALL.neighbours(start)}
    assert found == wanted  # in this space genes that become active take index 0, their first legal value


@pytest.mark.parametrize("space", SPACES, ids=lambda s: s.name)
def test_json_round_trip_and_hash_over_the_network(space: SearchSpace) -> None:
    rows = space.sample(8, np.random.default_rng(0))
    for row in rows:
        architecture = space.architecture(row)
        again = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
        assert again == architecture
        assert hash(again) == hash(architecture)
        assert again.hash == architecture.hash
        assert again.genes == tuple(row)
    assert len({space.architecture(r).hash for r in rows}) == len(set(row_keys(rows)))


@pytest.mark.parametrize("space", SPACES, ids=lambda s: s.name)
def test_additive_scores_equal_the_sum_over_specs(space: SearchSpace) -> None:
    rows = space.sample(25, np.random.default_rng(1))
    work = space.additive(macs).score(rows)
    count = space.additive(lambda spec: 1.0).score(rows)
    for row, total, number in zip(rows, work, count, strict=True):
        specs = space.architecture(row).specs
        assert total == sum(cost(spec).macs for spec in specs)
        assert number == len(specs)


@pytest.mark.parametrize("space", SPACES, ids=lambda s: s.name)
def test_specs_hold_every_spec_of_every_architecture_and_parse_back(space: SearchSpace) -> None:
    known = set(space.specs())
    assert len(known) == len(space.specs())
    for row in space.sample(50, np.random.default_rng(2)):
        assert set(space.architecture(row).specs) <= known
    for spec in known:
        assert OperatorSpec.parse(spec.canonical) == spec


@pytest.mark.parametrize("space", SPACES, ids=lambda s: s.name)
def test_consecutive_operators_fit_each_other(space: SearchSpace) -> None:
    """Each operator gives the shape it says, and what reaches an operator has the shape it was made for."""
    import torch

    from search_spaces import build_operator
    from search_spaces.decode import example_inputs
    from search_spaces.operators import get_operator

    for row in space.sample(4, np.random.default_rng(3)):
        nodes = space.architecture(row).nodes
        with torch.device("meta"):
            (x,) = example_inputs(nodes[0].spec, 2)
            points: dict[str, tuple[int, ...]] = {}
            for node in nodes:
                shape = points[node.source] if node.source else tuple(x.shape[1:])
                assert shape == node.spec.shape
                x = build_operator(node.spec).eval()(x if not node.source else torch.randn(2, *shape))
                said = get_operator(node.spec.name).output_shape(shape, **dict(node.spec.sizes))
                assert tuple(x.shape) == (2, *said)
                if node.target:
                    assert points.setdefault(node.target, said) == said
        outputs = space.definition.get("classes", space.definition.get("vocab"))
        assert x.shape[-1] == outputs


def test_restricted_space_draws_only_legal_values() -> None:
    space = SPACES[0].restrict({"*.mixer": ["ssd", "identity"], "stage1.width": [24]})
    rng = np.random.default_rng(4)
    rows = space.sample(50, rng)
    for batch in (rows, space.mutate(rows, rng), space.crossover(rows, rows[::-1], rng), space.neighbours(rows[0])):
        for row in batch:
            values = space.architecture(row).values
            assert values["stage1.width"] == 24
            assert {v for k, v in values.items() if k.endswith(".mixer")} <= {"ssd", "identity"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"hash": "0" * 16}, "hash"),
        ({"genes": {}}, "genes.resolution"),
        ({"genes": []}, "genes"),
        ({"version": 2}, "version"),
        ({"surprise": 1}, "surprise"),
        ({"space": {"name": "hybrid-visio"}}, "name"),
        ({"space": {"name": "hybrid-vision", "preset": "large"}}, "preset"),
        ({"space": {"name": "hybrid-vision", "resolutions": [16, 8]}}, "resolutions"),
        ({"space": {"name": "hybrid-vision", "classes": True}}, "classes"),
        ({"space": {"name": "hybrid-vision", "depth": 3}}, "depth"),
        ({"format": "onnx"}, "format"),
    ],
)
def test_wrong_architecture_data_is_refused_by_key(change: dict, named: str) -> None:
    data = SPACES[0].architecture(SPACES[0].sample(1, np.random.default_rng(5))[0]).to_json()
    with pytest.raises(SpaceError, match=named):
        Architecture.from_json({**data, **change})


def test_an_illegal_or_unknown_gene_is_named_with_its_legal_values() -> None:
    data = SPACES[0].architecture(SPACES[0].sample(1, np.random.default_rng(5))[0]).to_json()
    with pytest.raises(SpaceError, match=r"genes\.stage1\.width: got 17; legal: 16, 24, 32"):
        Architecture.from_json({**data, "genes": {**data["genes"], "stage1.width": 17}})
    with pytest.raises(SpaceError, match=r"did you mean 'stage1\.width'"):
        Architecture.from_json({**data, "genes": {**data["genes"], "stage1.widht": 16}})


def test_spaces_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(SpaceError, match="earlier"):
        SearchSpace("s", {}, [Choice("a", (1,), ("b", (1,))), Choice("b", (1,))], [])
    with pytest.raises(SpaceError, match="different"):
        SearchSpace("s", {}, [Choice("a", (1, 1))], [])
    with pytest.raises(SpaceError, match="matches no gene"):
        SMALL.restrict({"c.*": [1]})
    with pytest.raises(SpaceError, match="has none"):
        SMALL.restrict({"a.op": ["w"]})
    assert make_space(SPACES[0].definition).definition == SPACES[0].definition
