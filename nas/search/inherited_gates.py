"""The gradients that a job's evaluation gives to differentiable searches: computed once, kept in the run."""

from __future__ import annotations

import json
from fractions import Fraction
from functools import cached_property
from math import ceil

import numpy as np

from nas.run import RunDirectory
from nas.search.evaluation import Evaluation
from nas.search.gates import gates, relative_cost
from nas.search.problem import Floats, Rows
from nas.training.evaluate import first, one_thread

GRADIENTS = "search/gradients.csv"
SHARE = 10  # one in ten of the examples of an evaluation
LEAST = 32  # examples, for the statistics of batch norm
SAMPLE = 16  # rows that the cost is averaged over


class InheritedGates:
    """Losses and gates (see `nas.search.gates`) with inherited weights, on one thread in this process.

    They are those of the first examples of the search split: what weights were fitted to would favour what fits most
    (DARTS takes its architecture gradients on held-out examples for that reason), and the test split is never seen. Kept in
    the run's ``search/gradients.csv``, rounded to six digits before first use, so a search resumes without computing one again.

    Args:
        run: holds them.
        evaluation: whose first examples these are.
    """

    def __init__(self, run: RunDirectory, evaluation: Evaluation) -> None:
        self._run, self._evaluation = run, evaluation

    @cached_property
    def examples(self) -> int:
        """Of the search split, that a gradient looks at: as many for all."""
        return min(max(LEAST, self._evaluation.examples // SHARE), self._evaluation.examples)

    @cached_property
    def cost(self) -> Fraction:
        """What a gradient costs, in whole evaluations: its forwards and its backward by MACs and examples, on average over
        random rows of the whole space; in hundredths, rounded up. What calibrates an evaluation is not counted."""
        space = self._evaluation.supernet.space
        work = relative_cost(space, space.sample(SAMPLE, np.random.default_rng(0)))
        return Fraction(ceil(100 * work * self.examples / self._evaluation.examples), 100)

    def __call__(self, X: Rows) -> tuple[Floats, Floats]:
        """Losses (n,) and gates (n, G, V) of canonical rows (n, G)."""
        found = [self._one(row) for row in X]
        shape = (len(X), X.shape[1], int(self._evaluation.supernet.space.cardinalities.max()))
        return np.array([loss for loss, _ in found]), np.array([changes for _, changes in found]).reshape(shape)

    @cached_property
    def _kept(self) -> dict[str, tuple[float, Floats]]:
        return {row["hash"]: (float(row["loss"]), _table(row["gates"])) for row in self._run.read_rows(GRADIENTS)}

    def _one(self, row: Rows) -> tuple[float, Floats]:
        name = self._evaluation.supernet.space.architecture(row).hash
        if name not in self._kept:
            loss, changes = self._computed(row)
            text = json.dumps([[_rounded(value) for value in line] for line in changes], separators=(",", ":"))
            self._run.append_rows(GRADIENTS, [{"hash": name, "loss": f"{loss:.6g}", "gates": text}])
            self._kept[name] = float(f"{loss:.6g}"), _table(text)
        return self._kept[name]

    def _computed(self, row: Rows) -> tuple[float, Floats]:
        data, supernet = self._evaluation.data, self._evaluation.supernet
        device = next(supernet.parameters()).device
        split = first(data.search, self.examples)
        extent = supernet.space.architecture(row).input_shape[-1]
        with one_thread():
            return gates(supernet, row, data.batch(split.inputs.to(device), extent), split.labels.to(device))


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else float(f"{value:.6g}")


def _table(text: str) -> Floats:
    return np.array([[np.nan if value is None else value for value in line] for line in json.loads(text)], np.float64)
