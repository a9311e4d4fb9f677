"""Additive objectives: a sum over an architecture's operator specs, scored for a whole population by gathers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from search_spaces.spec import OperatorSpec

if TYPE_CHECKING:
    from search_spaces.space import SearchSpace

CHUNK = 2**15  # values gathered at once: they stay in the cache


class Additive:
    """A per-spec value (latency, MACs, parameters) summed over architectures.

    For every slot of the network the value of each combination of the genes it depends on is computed once;
    scoring is then one gather a slot.

    Args:
        space: the search space.
        value_of_spec: the value of one operator spec; called once for every distinct spec.
    """

    def __init__(self, space: SearchSpace, value_of_spec: Callable[[OperatorSpec], float]) -> None:
        self._space = space
        specs, held = space.held
        values = np.array([float(value_of_spec(spec)) for spec in specs])
        self._terms: list[tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, np.ndarray] | None]] = []
        alone: list[tuple[int, np.ndarray]] = []
        for slot, which in zip(space.slots, held, strict=True):
            genes = [space.index[gene] for gene in slot.genes]
            counts = [len(space.choices[g].values) for g in genes]
            strides = np.array([int(np.prod(counts[i + 1 :])) for i in range(len(counts))], np.int64)
            table = values[which]
            when = None if slot.when is None else (space.index[slot.when[0]], space.allowed(slot.when))
            if len(genes) == 1 and when is None:
                alone.append((genes[0], table))
            else:
                self._terms.append((np.array(genes, int), strides, table, when))
        # slots of one gene that are always there: all of them in one gather
        self._alone = np.array([gene for gene, _ in alone], int)
        self._starts = np.cumsum([0, *(len(table) for _, table in alone[:-1])]) if alone else np.zeros(0, int)
        self._flat = np.concatenate([table for _, table in alone]) if alone else np.zeros(0)

    def score(self, rows: np.ndarray) -> np.ndarray:
        """The sums of canonical ``rows`` ``(n, G)``: ``(n,)`` float64."""
        columns = np.ascontiguousarray(rows.T)  # a gene is read many times: its values side by side
        active: np.ndarray | None = None
        total = np.zeros(len(rows))
        step = max(1, CHUNK // max(1, len(self._alone)))
        for start in range(0, len(rows) if len(self._alone) else 0, step):
            part = slice(start, start + step)
            total[part] = self._flat.take(rows[part][:, self._alone] + self._starts).sum(axis=1)
        for genes, strides, table, when in self._terms:
            position = np.zeros(len(rows), np.intp)
            for gene, stride in zip(genes, strides, strict=True):
                position += columns[gene] * stride
            values = table.take(position)
            if when is not None:
                gene, allowed = when
                if active is None:
                    active = np.ascontiguousarray(self._space.active(rows).T)
                values[~(active[gene] & allowed[columns[gene]])] = 0.0
            total += values
        return total
