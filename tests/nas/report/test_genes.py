"""What the front agrees on: counts against a plain loop, agreement where it was planted and only there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nas.report.agreement import SHOWN, agreement_figure, agreement_html
from nas.report.genes import SAMPLE, agreement, gene_counts
from search_spaces import get_space

SPACE = get_space("hybrid-vision/tiny")


def sample(n: int, seed: int = 7) -> np.ndarray:
    return SPACE.sample(n, np.random.default_rng(seed))


def test_counts_are_those_of_a_plain_loop():
    front, evaluated = sample(12), sample(60, 8)
    table = gene_counts(SPACE, front, evaluated)
    for column, rows in (("front", front), ("evaluated", evaluated)):
        found: dict[tuple[str, str], int] = {}
        for row in rows:
            for gene, value in SPACE.architecture(row).values.items():
                found[gene, str(value)] = found.get((gene, str(value)), 0) + 1
        counted = {(row.gene, row.value): getattr(row, column) for row in table.itertuples()}
        assert {key: count for key, count in counted.items() if count} == found
    assert not table.duplicated(["gene", "value"]).any()
    of_all = table.groupby("gene")["sampled"].sum()
    assert of_all["resolution"] == of_all["stage1.layer1.mixer"] == SAMPLE
    assert "evaluated" not in gene_counts(SPACE, front, None)


def test_a_gene_without_a_choice_is_left_out_and_a_space_without_any_gives_an_empty_table():
    fixed = SPACE.restrict({"resolution": [16]})
    table = gene_counts(fixed, fixed.sample(3, np.random.default_rng(0)), None)
    assert "resolution" not in set(table["gene"])
    single = SPACE.restrict({choice.name: choice.values[:1] for choice in SPACE.choices})
    nothing = gene_counts(single, single.sample(1, np.random.default_rng(0)), None)
    assert nothing.empty
    assert agreement(nothing).empty


def test_planted_agreement_is_found():
    held = {"stage2.layer1.mixer": ["mhsa"], "stage1.width": [24], "stage3.depth": [1]}
    space = SPACE.restrict(held)
    table = agreement(gene_counts(SPACE, space.sample(20, np.random.default_rng(3)), None)).set_index("gene")
    for gene, (value,) in held.items():
        assert table.loc[gene, "decided"]
        assert table.loc[gene, "favourite"] == str(value)
        assert table.loc[gene, ["share", "reduction"]].tolist() == [1, 1]
        assert table.loc[gene, "members"] == 20
    assert set(table.index[: len(held)]) <= set(table.index[table["decided"]])


def test_a_front_drawn_by_chance_is_called_decided_as_rarely_as_promised():
    genes = [gene_counts(SPACE, sample(10, seed), None) for seed in range(20)]
    found = [int(agreement(table)["decided"].sum()) for table in genes]
    # nothing is there to be found, so a front with any discovery is a false alarm: 5 % of fronts, 4 of 20 or more in 1.6 %
    assert sum(count > 0 for count in found) < 4


def test_entropies_are_those_of_the_shares():
    values = pd.DataFrame({"gene": "a", "value": list("xyz"), "front": [3, 1, 0], "sampled": [100, 100, 200]})
    (row,) = agreement(values).itertuples()
    assert row.bits_sampled == pytest.approx(1.5)
    assert row.bits_front == pytest.approx(-0.75 * np.log2(0.75) - 0.25 * np.log2(0.25))
    assert row.reduction == pytest.approx(1 - row.bits_front / 1.5)
    assert (row.favourite, row.share, row.sampled) == ("x", 0.75, 0.25)
    assert not row.decided


def test_the_plot_holds_the_shares_of_the_most_used_genes_and_the_table_every_gene(device):
    agreed = agreement(device.genes)
    assert len(agreed) > SHOWN
    figure = agreement_figure(device.genes, agreed, "cpu")
    *bars, gone = figure.data
    assert len(gone.y) == SHOWN
    for axis in ("x", "x2"):
        totals: dict[str, float] = {}
        for bar in (bar for bar in bars if bar.xaxis == axis):
            for label, share in zip(bar.y, bar.x, strict=True):
                totals[label] = totals.get(label, 0) + share
        assert set(totals) == set(gone.y)
        assert list(totals.values()) == pytest.approx([1] * SHOWN)
    least = min(int(label.partition("(")[2].rstrip(")")) for label in gone.y)
    assert (agreed["members"] > least).sum() <= SHOWN
    html = agreement_html(agreed)
    assert all(f">{gene} <" in html or f">{gene}<" in html for gene in agreed["gene"])
