"""Which subnets a training step uses: the sandwich rule, with every operator type visited equally often."""

from __future__ import annotations

import numpy as np

from search_spaces import SearchSpace


class SandwichSampler:
    """The sandwich rule (Yu et al., BigNAS, arXiv 2003.11142) over a hybrid space.

    A step trains the largest sizes, the smallest sizes and ``subnets - 2`` random sizes. Operator types have no largest,
    so in all of them the types are drawn; each gene of types runs through a shuffled list of its values before any comes
    again (strict fairness, Chu et al., FairNAS, arXiv 1907.01845). Nothing has state: any step can be replayed.

    Args:
        space: the search space.
        subnets: subnets a step, at least 2.
        seed: of the draws.
    """

    def __init__(self, space: SearchSpace, subnets: int, seed: int) -> None:
        self.space, self.subnets, self.seed = space, subnets, seed
        numeric = [all(isinstance(v, int | float) for v in choice.values) for choice in space.choices]
        self._types = [g for g, number in enumerate(numeric) if not number]

    def rows(self, step: int, attempt: int = 0) -> np.ndarray:
        """The ``(subnets, G)`` canonical rows of a step: largest, smallest, then random ones."""
        rng = np.random.default_rng([self.seed, 3, attempt, step])
        rows = self.space.sample(self.subnets, rng)
        types = np.stack([self._draw(g, step, attempt) for g in self._types], axis=1)
        # every layer needs a type, also where the sampled depth left it out: let `largest` reach the full depth first
        full = self.space.largest(rows)
        full[:, self._types] = types
        full = self.space.canonicalise(full)
        rows = np.where(self.space.active(full), full, rows)
        rows[0] = self.space.largest(rows[:1])[0]
        rows[1] = self.space.smallest(rows[1:2])[0]
        if self.subnets > 2:
            rows[2:] = self._with_random_sizes(rows[2:], rng)
        return self.space.canonicalise(rows)

    def _with_random_sizes(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """``rows`` with every size drawn anew, types kept."""
        sizes = np.stack([rng.choice(legal, len(rows)) for legal in self.space.legal], axis=1).astype(rows.dtype)
        sizes[:, self._types] = rows[:, self._types]
        return self.space.canonicalise(sizes)

    def _draw(self, gene: int, step: int, attempt: int) -> np.ndarray:
        """The values of one type gene for the step's subnets: consecutive entries of an endless row of permutations."""
        legal = self.space.legal[gene]
        first = step * self.subnets
        blocks: dict[int, np.ndarray] = {}
        drawn = []
        for position in range(first, first + self.subnets):
            block, place = divmod(position, len(legal))
            if block not in blocks:
                blocks[block] = np.random.default_rng([self.seed, 4, attempt, gene, block]).permutation(legal)
            drawn.append(blocks[block][place])
        return np.array(drawn)
