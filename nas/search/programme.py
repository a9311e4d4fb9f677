"""The best architecture under limits where scores add up: an integer programme, solved exactly by branch and bound.

Sources: Bercovich et al., "Puzzle: distillation-based NAS for inference-optimized LLMs" (arXiv 2411.19146): one block a layer,
scores and costs that add up, a mixed integer programme; Gu et al., "Jet-Nemotron: efficient language model with post neural
architecture search" (2025). The solver is HiGHS (Huangfu and Hall, 2018), by `scipy.optimize.milp`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import moocore
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array, hstack

from nas.errors import InfeasibleError, JobError
from nas.search.places import EXACT, Places, Tables
from nas.search.problem import Floats, Rows, Scores
from search_spaces.space import GENE, SearchSpace

NODES = 20_000  # of branch and bound: a limit that is the same on every machine, unlike seconds
SLACK = 1e-9  # of a limit's range, and
ROUNDING = 1e-13  # of its size: sums in another order differ by less
SMALL = 0.1  # the largest entry of a limit: what rounding adds to a sum stays below the solver's tolerance
TOLD_APART = 50  # rows that are over a limit by less than the solver's tolerance
Limit = tuple[Tables, float]


class Programme:
    """Integer programmes over the places of a space.

    One binary variable a tuple of a place; one variable a tuple of every intersection of places, equal to the sum of the
    tuples around it, on either side. So places agree on the genes that they share, and inactive genes are 0.
    """

    def __init__(self, places: Places) -> None:
        self.places = places
        regions = places.regions
        starts = np.cumsum([0, *(len(region.tuples) for region in regions)])
        self._starts, self._tuples = starts, int(starts[places.places])
        rows, columns, signs = [], [], []
        total = 0
        top = []  # regions that hold nothing else: one of their tuples is true
        self._state = np.zeros(self._tuples, np.int64)  # of each tuple: what it says to others
        for r, region in enumerate(regions):
            inner = [
                i
                for i in range(places.places, len(regions))
                if regions[i].members < region.members
                and regions[i].genes
                and not any(regions[i].members < other.members < region.members for other in regions[places.places :])
            ]
            if not inner:
                top.append(r)
            states = np.zeros(len(region.tuples), np.int64)
            for i in inner:
                held, count = places.held(r, i), len(regions[i].tuples)
                rows.append(np.concatenate((held, np.arange(count))) + total)
                columns.append(
                    np.concatenate((np.arange(starts[r], starts[r + 1]), np.arange(starts[i], starts[i + 1])))
                )
                signs.append(np.repeat([1.0, -1.0], [len(held), count]))
                states = np.unique(states * count + held, return_inverse=True)[1]
                total += count
            if r < places.places:
                self._state[starts[r] : starts[r + 1]] = states
        self._linked = total
        for r in top:
            if regions[r].genes or r < places.places:
                rows.append(np.full(starts[r + 1] - starts[r], total))
                columns.append(np.arange(starts[r], starts[r + 1]))
                signs.append(np.ones(starts[r + 1] - starts[r]))
                total += 1
        entries = (np.concatenate(signs), (np.concatenate(rows), np.concatenate(columns)))
        matrix = csc_array(entries, shape=(total, int(starts[-1])))
        self._links, self._meeting = matrix[:, : self._tuples], matrix[:, self._tuples :]

    def solve(
        self,
        score: Tables,
        limits: Sequence[Limit] = (),
        without: NDArray[np.int64] | None = None,
        nodes: int = NODES,
    ) -> tuple[NDArray[np.int16] | None, bool]:
        """The row (G,) of the smallest score whose limited sums are each at most their bound; none where there is none, or
        none was found within ``nodes``. And whether that is proved. ``without`` (k, places): rows that are ruled out, as
        `Places.where` has them."""
        from scipy.optimize import Bounds, LinearConstraint, milp  # late: it takes long to import

        cut = np.zeros((0, self.places.places), np.int64) if without is None else without
        columns = [np.concatenate(tables) for tables in (score, *(tables for tables, _ in limits))]
        lows = [np.array([table.min() for table in tables]) for tables in (score, *(tables for tables, _ in limits))]
        keep = self._undominated(np.stack(columns, axis=1), 1 + len(cut))
        size = np.diff(self._starts[: self.places.places + 1])
        ranges = [column - np.repeat(low, size) for column, low in zip(columns, lows, strict=True)]
        scales = [max(float(part.max()), 1e-300) for part in ranges]
        others = self._meeting.shape[1]
        cost = np.concatenate((ranges[0][keep] / scales[0], np.zeros(others)))
        matrix = hstack((self._links[:, keep], self._meeting), format="csr")
        side = np.concatenate((np.zeros(self._linked), np.ones(matrix.shape[0] - self._linked)))
        constraints = [LinearConstraint(matrix, side, side)]
        for column, low, scale, (_, bound) in zip(ranges[1:], lows[1:], scales[1:], limits, strict=True):
            rounding = SLACK * scale + ROUNDING * (abs(bound) + float(np.abs(low).sum()))
            room = (bound - low.sum() + rounding) / scale
            if room < 0:
                return None, True
            row = csr_array(np.concatenate((SMALL * column[keep] / scale, np.zeros(others)))[None])
            constraints.append(LinearConstraint(row, -np.inf, SMALL * room))
        if len(cut):
            constraints.append(LinearConstraint(self._cuts(cut, keep), -np.inf, self.places.places - 1))
        with _silent():
            found = milp(
                cost,
                # all of them: where only some are rounded the links break
                integrality=np.ones(len(cost)),
                bounds=Bounds(0, 1),
                constraints=constraints,
                # presolving takes longer than solving: the relaxation is all but integral
                options={"mip_rel_gap": 0.0, "node_limit": nodes, "presolve": False},
            )
        if found.status not in (0, 1, 2):
            raise JobError(f"assembly: the solver gave up: {found.message}")
        return None if found.x is None else self._row(keep[found.x[: len(keep)] > 0.5]), found.status != 1

    def _undominated(self, columns: Floats, most: int) -> NDArray[np.int64]:
        """Tuples that fewer than ``most`` better ones could replace, whatever the other places hold.

        The best row but ``most - 1`` uses no other: each of its betters there would make a row at least as good.
        """
        keep = []
        for start, end in zip(self._starts[: self.places.places], self._starts[1:], strict=False):
            order = start + np.argsort(self._state[start:end], kind="stable")
            ends = np.flatnonzero(np.diff(self._state[order])) + 1
            for group in np.split(order, ends):
                if len(group) <= most:
                    keep.append(group)
                elif columns.shape[1] == 1:
                    keep.append(group[np.argsort(columns[group, 0], kind="stable")[:most]])
                else:
                    keep.append(group[moocore.pareto_rank(columns[group]) < most])
        return np.sort(np.concatenate(keep))

    def _cuts(self, cut: NDArray[np.int64], keep: NDArray[np.int64]) -> csr_array:
        """One row a row that is ruled out: 1 for each of its tuples."""
        columns = cut + self._starts[: self.places.places]
        at = np.searchsorted(keep, columns).clip(0, len(keep) - 1)
        k, place = np.nonzero(keep[at] == columns)
        return csr_array((np.ones(len(k)), (k, at[k, place])), shape=(len(cut), len(keep) + self._meeting.shape[1]))

    def _row(self, chosen: NDArray[np.int64]) -> NDArray[np.int16]:
        row = np.zeros(len(self.places.space.choices), GENE)
        for place, t in enumerate(chosen - self._starts[: self.places.places]):
            region = self.places.regions[place]
            row[list(region.genes)] = region.tuples[t]
        return row


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing goes to the standard output meanwhile: HiGHS prints there where it mends a solution, whatever it is told, and
    programs read what commands print."""
    saved, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(nowhere)


def assemble(space: SearchSpace, score: Scores, limits: Sequence[tuple[Scores, float]] = ()) -> NDArray[np.int16]:
    """The canonical row (G,) of ``space`` with the smallest score among those that meet every limit, proved.

    ``score`` and the first of every limit, which is to be at most the second, map rows (n, G) to (n,) and are additive over the
    operators of the space, such as `SearchSpace.additive` makes them; what each operator adds they are asked.

    Raises:
        JobError: a function is not additive, the proof takes more than `NODES` nodes, or more than `TOLD_APART` rows break a
            limit by less than the solver can tell.
        InfeasibleError: no architecture meets all limits; it says the smallest value of each alone.
    """
    places = Places(space)

    def tables(what: str, function: Scores) -> Tables:
        found = places.tables(function)
        error = places.error(found, function)
        if not error <= EXACT:
            raise JobError(
                f"{what}: must be additive over the operators of {space.name!r}, and is wrong by {error:.2g} of its spread"
            )
        return found

    whole = tables("score", score)
    held = [(tables(f"limits[{i}]", function), float(bound)) for i, (function, bound) in enumerate(limits)]
    programme = Programme(places)
    ruled: Rows = np.zeros((0, len(space.choices)), GENE)
    least = {}
    for i, (function, _) in enumerate(limits):
        best, _ = programme.solve(held[i][0])
        assert best is not None  # nothing limits it
        least[f"limits[{i}]"] = float(function(best[None])[0])
    # what not even the smallest meets is not left to the solver, which takes a bound that is missed by next to nothing for met
    if all(_within(value, bound) for value, (_, bound) in zip(least.values(), limits, strict=True)):
        for _ in range(TOLD_APART):
            row, proved = programme.solve(whole, held, places.where(ruled))
            if not proved:
                raise JobError(f"assembly: not proved within {NODES} nodes; legal: fewer limits, or a smaller space")
            if row is None:
                break
            if all(_within(function(row[None])[0], bound) for function, bound in limits):
                return row
            ruled = np.concatenate((ruled, row[None]))  # over a limit by less than the solver can tell
        else:
            raise JobError(f"limits: more than {TOLD_APART} better rows are over them by less than the solver can tell")
    asked = zip(least.items(), limits, strict=True)
    said = ", ".join(f"{name} is at least {value:.6g} (you asked {bound:.6g})" for (name, value), (_, bound) in asked)
    raise InfeasibleError(f"limits: no architecture meets all; alone {said}", least)


def _within(value: float, bound: float) -> bool:
    return bool(value <= bound + ROUNDING * abs(bound))
