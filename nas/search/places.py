"""The places of a space: small groups of genes over which whatever is additive over its operators is a sum.

A place is a group of genes that act together, such as the mixer of one layer with the sizes of each operator, beside the
genes that it shares with other places (resolution, width, depth). It holds one of its tuples at a time. An objective that
is additive over places is recovered exactly from its values on rows that differ from one anchor in one place alone, with
the counting numbers of region graphs (Yedidia, Freeman and Weiss, "Constructing free-energy approximations and generalized
belief propagation algorithms", 2005): nothing is fitted, and any function of rows will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nas.errors import JobError
from nas.search.gene_groups import Genes, groups, intersections, parents, size
from nas.search.problem import Floats, Rows, Scores
from search_spaces.space import GENE, SearchSpace

ALL = 200_000  # tuples of a whole space
CHECKED = 256  # random rows on which additivity is checked
EXACT = 1e-6  # of the spread of an objective: as good as no error

Tables = tuple[Floats, ...]


@dataclass(frozen=True)
class Region:
    """Genes that are closed under parents, every tuple (k, genes) of values that a canonical row can have there, and which of
    the genes are active in it."""

    genes: tuple[int, ...]
    tuples: Rows
    active: NDArray[np.bool_]
    codes: NDArray[np.int64]  # of the tuples, as `Places` hashes them; sorted, so that tuples are found by search
    count: int  # the counting number: how often it is added

    @property
    def members(self) -> Genes:
        """The genes as a set."""
        return frozenset(self.genes)


class Places:
    """The places of ``space``, and how they meet.

    Attributes:
        places: how many there are.

    Raises:
        JobError: the places of the space hold more tuples than can be handled.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        rng = np.random.default_rng(0)
        self._hash = rng.integers(1, 2**62, len(space.choices))
        self._anchor = space._draw(1, rng)[0]
        self._parent = parents(space)
        self._members = groups(space)
        self.places = len(self._members)
        total = sum(size(space, genes) for genes in self._members)
        if total > ALL:
            raise JobError(f"space: the places of {space.name!r} hold {total} tuples of genes; legal: at most {ALL}")

    @cached_property
    def regions(self) -> list[Region]:
        """The places first (`places` of them), then the intersections of places, the largest first."""
        counts: dict[Genes, int] = {}
        for genes in (*self._members, *intersections(self._members)):  # those that contain it come first
            counts[genes] = 1 - sum(count for other, count in counts.items() if genes < other)
        return [self._region(genes, count) for genes, count in counts.items()]

    def where(self, X: Rows) -> NDArray[np.int64]:
        """(n, places) which tuple of each place canonical rows (n, G) hold."""
        at = [
            np.searchsorted(region.codes, self._codes(X[:, region.genes], region.genes))
            for region in self.regions[: self.places]
        ]
        return np.stack(at, axis=1)

    def tables(self, score: Scores) -> Tables:
        """What each tuple of each place adds to ``score``; the sum over places is the score where it is additive."""
        values = np.asarray(score(self._probes), dtype=np.float64)
        split = np.split(values, np.cumsum([len(region.tuples) for region in self.regions])[:-1])
        tables = [region.count * part for region, part in zip(self.regions, split, strict=True)]
        for r in range(self.places, len(self.regions)):
            place, at = self._inside[r - self.places]
            tables[place] = tables[place] + tables[r][at]
        return tuple(tables[: self.places])

    def gene_tables(self, terms: Sequence[tuple[int, int]], weights: Floats) -> Tables:
        """The same for a score that adds a weight (T,) for each of its terms (gene, value) that is active."""
        flat = np.zeros(self._gene_terms[0])
        flat[[self._offsets[gene] + value for gene, value in terms]] = weights
        return tuple(flat[at].sum(axis=1) for at in self._gene_terms[1])

    def values(self, score: Scores) -> Floats:
        """(n,) of a score on random rows."""
        return np.asarray(score(self._checked), dtype=np.float64)

    def sums(self, tables: Tables, where: NDArray[np.int64]) -> Floats:
        """(n,) the sums of the tables over what is `where` (n, places)."""
        return np.sum([table[where[:, place]] for place, table in enumerate(tables)], axis=0)

    def error(self, tables: Tables, score: Scores) -> float:
        """Largest error of the sums on random rows, in spreads of the scores there."""
        truth = np.asarray(score(self._checked), dtype=np.float64)
        least = 1e-6 * float(np.abs(truth).max()) + 1e-300  # what varies by less is constant
        return float(
            np.abs(self.sums(tables, self.where(self._checked)) - truth).max() / max(float(np.ptp(truth)), least)
        )

    # --- how it is made --------------------------------------------------------------------------------------------

    @cached_property
    def _checked(self) -> Rows:
        return self.space.canonicalise(self.space._draw(CHECKED, np.random.default_rng(1)))

    @cached_property
    def _probes(self) -> Rows:
        """The anchor with every tuple of every region in its place."""
        parts = []
        for region in self.regions:
            rows = np.repeat(self._anchor[None], len(region.tuples), axis=0)
            rows[:, region.genes] = region.tuples
            parts.append(rows)
        return self.space.canonicalise(np.concatenate(parts))

    @cached_property
    def _offsets(self) -> NDArray[np.int64]:
        return np.concatenate(([0], np.cumsum(self.space.cardinalities)))

    @cached_property
    def _gene_terms(self) -> tuple[int, list[NDArray[np.int64]]]:
        """How many (gene, value) there are and one more, at which all inactive genes point; and for every place where its
        tuples' genes stand among them, each gene in the first place that has it."""
        last = int(self._offsets[-1])
        found: list[NDArray[np.int64]] = []
        done: Genes = frozenset()
        for region in self.regions[: self.places]:
            genes = sorted(region.members - done)
            done |= region.members
            at = [region.genes.index(g) for g in genes]
            found.append(np.where(region.active[:, at], self._offsets[genes] + region.tuples[:, at], last))
        return last + 1, found

    @cached_property
    def _inside(self) -> list[tuple[int, NDArray[np.int64]]]:
        """For every intersection the first place around it, and which of its tuples that place's tuples hold."""
        found: list[tuple[int, NDArray[np.int64]]] = []
        for region in self.regions[self.places :]:
            place = next(p for p in range(self.places) if region.members <= self.regions[p].members)
            found.append((place, self.held(place, self.places + len(found))))
        return found

    def held(self, outer: int, inner: int) -> NDArray[np.int64]:
        """Which tuple of region ``inner`` each tuple of region ``outer`` around it holds."""
        around, region = self.regions[outer], self.regions[inner]
        at = [around.genes.index(g) for g in region.genes]
        return np.searchsorted(region.codes, self._codes(around.tuples[:, at], region.genes))

    def _codes(self, tuples: Rows, genes: tuple[int, ...]) -> NDArray[np.int64]:
        # wraps around; parents are among the genes, so that values alone tell an inactive gene from its first value
        return np.asarray(tuples.astype(np.int64) @ self._hash[list(genes)])

    def _region(self, members: Genes, count: int) -> Region:
        genes = tuple(sorted(members))  # parents come first
        tuples, active = np.zeros((1, 0), GENE), np.ones((1, 0), bool)
        for g in genes:
            here, legal = np.ones(len(tuples), bool), self.space.legal[g]
            when = self.space.choices[g].when
            if when is not None:
                at = genes.index(self._parent[g])
                here = active[:, at] & self.space.allowed(when)[tuples[:, at]]
            times = np.where(here, len(legal), 1)
            first = np.cumsum(times) - times
            value = legal[(np.arange(times.sum()) - np.repeat(first, times)) % len(legal)]
            here = np.repeat(here, times)
            tuples = np.column_stack((np.repeat(tuples, times, axis=0), np.where(here, value, 0))).astype(GENE)
            active = np.column_stack((np.repeat(active, times, axis=0), here))
        codes = self._codes(tuples, genes)
        order = np.argsort(codes, kind="stable")
        if (np.diff(codes[order]) == 0).any():
            raise JobError(f"space: tuples of {[self.space.choices[g].name for g in genes]} share a hash")
        return Region(genes, tuples[order], active[order], codes[order], count)
