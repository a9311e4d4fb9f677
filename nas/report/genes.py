"""Which gene values were seen where: on the front, in a uniform sample of the space, in any evaluation. And what the front
agrees on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import xlogy

from predictors.latency import LatencyModel
from predictors.minimum import minimise
from search_spaces import SearchSpace

SAMPLE = 4096  # networks of the uniform sample
DRAWS = 4000  # fronts by chance, for what agreement is worth
LEVEL = 0.05  # share of false alarms among the genes that are called decided

Rows = NDArray[np.int16]


def gene_counts(space: SearchSpace, front: Rows, evaluated: Rows | None) -> pd.DataFrame:
    """How many networks have each value of each gene, where the gene is in use.

    Args:
        space: of all rows.
        front: (n, G) the members of the front.
        evaluated: (k, G) every evaluation of every search; None: not known.

    Returns:
        Columns gene, value (text), front, sampled (of a uniform sample), and evaluated where it is known; one row a value
        that the sample has, in the order of the space, for genes that have a choice.
    """
    sample = space.sample(SAMPLE, np.random.default_rng(0))
    populations = {"front": front, "sampled": sample} | ({} if evaluated is None else {"evaluated": evaluated})
    found = {name: (rows, space.active(rows)) for name, rows in populations.items()}
    columns: dict[str, list[Any]] = {"gene": [], "value": [], **{name: [] for name in populations}}
    for g, choice in enumerate(space.choices):
        if len(legal := space.legal[g]) < 2:
            continue
        columns["gene"] += [choice.name] * len(legal)
        columns["value"] += [str(choice.values[i]) for i in legal]
        for name, (rows, active) in found.items():
            columns[name] += np.bincount(rows[active[:, g], g], minlength=len(choice.values))[legal].tolist()
    table = pd.DataFrame(columns).astype(dict.fromkeys(populations, np.int64))
    return table[table["sampled"] > 0].reset_index(drop=True)


def latency_range(
    space: SearchSpace, predictor: LatencyModel, limit: float | None, seed: int = 0
) -> tuple[float, float]:
    """Latency in ms of the fastest and of the slowest network that a bounded search finds; at most ``limit``."""
    _, fastest = minimise(space, predictor.ms, np.random.default_rng(seed))
    _, slowest = minimise(space, lambda rows: -predictor.ms(rows), np.random.default_rng(seed))
    return fastest, -slowest if limit is None else min(-slowest, limit)


def agreement(genes: pd.DataFrame) -> pd.DataFrame:
    """How far the front agrees on each gene, against a uniform sample of the space.

    A gene's entropy is taken over the networks in which it is in use. Chance is judged by fronts of as many members drawn
    from the sample's distribution; genes are called decided so that among them one in twenty is a false alarm (Benjamini and
    Hochberg, "Controlling the false discovery rate", 1995).

    Args:
        genes: see `gene_counts`.

    Returns:
        Columns gene, members (that use it), favourite (the value most of them have), share and sampled (of the favourite, on
        the front and in the sample), bits_sampled and bits_front (entropies), reduction (share of the sample's entropy that
        is gone on the front: 1 all agree, 0 as spread as the space) and decided. The decided come first; both
        they and the others from the largest reduction to the smallest. Genes that no member uses are left out.
    """
    from scipy.stats import false_discovery_control  # late: it takes long to import

    rng, rows = np.random.default_rng(0), []
    on_front, in_sample, values = (genes[name].to_numpy() for name in ("front", "sampled", "value"))
    for gene, at in genes.groupby("gene", sort=False).indices.items():
        front, sampled = on_front[at], in_sample[at]
        members = int(front.sum())
        if members == 0 or len(at) < 2:
            continue
        before, after = _bits(sampled), _bits(front)
        # the entropy of counts c of as many members falls with the sum of c log c, which is cheaper to compare
        sums = xlogy(counts := np.arange(members + 1), counts)
        by_chance = sums[rng.multinomial(members, sampled / sampled.sum(), size=DRAWS)].sum(axis=1)
        luck = (1 + int((by_chance >= sums[front].sum() - 1e-9).sum())) / (1 + DRAWS)
        best = int(np.argmax(front))
        shares = front[best] / members, sampled[best] / sampled.sum()
        rows.append((gene, members, values[at][best], *shares, before, after, 1 - after / before, luck))
    table = pd.DataFrame(
        rows,
        columns=[
            "gene", "members", "favourite", "share", "sampled", "bits_sampled", "bits_front", "reduction", "luck",
        ],
    )  # fmt: skip
    table["decided"] = false_discovery_control(table["luck"]) <= LEVEL if len(table) else False
    order = np.lexsort(
        (-table["members"], -table["reduction"].round(9), ~table["decided"])
    )  # stable: the space's order
    return table.drop(columns="luck").iloc[order].reset_index(drop=True)


def _bits(counts: NDArray[np.int64]) -> float:
    """Entropy of counts in bits."""
    total = counts.sum()
    return float((np.log(total) - xlogy(counts, counts).sum() / total) / np.log(2))
