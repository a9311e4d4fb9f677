"""The first sample of searchers that learn what every choice adds: a design that covers all of them."""

from __future__ import annotations

import numpy as np

from nas.search.candidates import admit, fresh, repair
from nas.search.problem import Problem, Rows
from search_spaces.space import GENE, SearchSpace

TIMES = 2  # how often a design covers every value of the gene that has most of them
FEWEST = 10


def balanced(space: SearchSpace, n: int, rng: np.random.Generator) -> Rows:
    """``n`` canonical rows (n, G): among those in which a gene is active, its legal values appear equally often, give or take
    one. In a space that has only some of the combinations of genes, the nearest rows that it has."""
    rows = np.zeros((n, len(space.choices)), GENE)
    for g, legal in enumerate(space.legal):  # parents first
        active = np.flatnonzero(space.active(rows)[:, g])
        even = np.resize(rng.permutation(legal), len(active))
        rows[active, g] = rng.permutation(even)
    return np.asarray(space.crossover(rows, rows, rng))  # a row with itself: that row, or the nearest that there is


def first_sample(problem: Problem) -> Rows:
    """Rows (k, G) within the limits that cover every choice, half of the budget at most; where rows of the balanced design are
    over a limit they are repaired, and where they are too few random rows join."""
    rng = np.random.default_rng([problem.seed, 1])
    most = int(max(len(legal) for legal in problem.space.legal))
    n = max(1, min(max(FEWEST, TIMES * most), problem.evaluations // 2))
    X = balanced(problem.space, n, rng)
    good = problem.feasible(X)
    over = repair(problem, X[~good], rng) if not good.all() else X[:0]
    X = admit(problem, np.concatenate((X[good], over)), set(), n)
    return X if len(X) else fresh(problem, n, set(), rng)
