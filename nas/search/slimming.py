"""Latency-driven slimming: from the largest architecture remove, again and again, what costs least for the time it saves.

Source: Li et al., "EfficientFormer: vision transformers at MobileNet speed" (arXiv 2206.01191, section 3.4). There the
importance of a block is a weight of the supernet; here it is learnt from the architectures told (`ImportanceModel`), so
that any space can be slimmed.
"""

from __future__ import annotations

import numpy as np

from nas.errors import JobError
from nas.search import pareto
from nas.search.base import register
from nas.search.candidates import admit, spread
from nas.search.learnt import LearntSearcher
from nas.search.problem import Floats, Problem, Rows, Scores

STARTS = 4  # architectures that are slimmed: the largest one, and those grown from the best told
STEPS = 2000  # of one path, more than any space has
GROUND = 1e-9  # of what is saved in all: less is no saving


@register
class Slimming(LearntSearcher):
    """A sample that covers every choice; then rows from paths of slimming, spread over the logarithm of what is saved.

    A path begins at the largest architecture that the sample holds, or at one of the best told with every size at its largest,
    and moves to the neighbour (one gene) that loses least of the learnt score for what it saves of the first known objective,
    until nothing saves any more. Paths are made anew for every ask. Other limits are kept by leaving out what breaks them.

    Raises:
        JobError: the problem has no known objective.
    """

    name = "slimming"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        if not problem.known:
            raise JobError(
                "searcher: 'slimming' saves an objective that is known before evaluation, such as a latency from a table, and "
                "this problem has none; legal: another searcher, or a known objective"
            )
        self._saved: Scores = next(iter(problem.known.values()))

    def _make(self, n: int, taken: set[bytes]) -> Rows:
        rows = admit(self.problem, np.concatenate([self._path(row) for row in self._starts()]), taken)
        return rows[spread(self._level(rows), n)] if len(rows) else rows

    def _starts(self) -> Rows:
        """The largest row known, and the best told at their largest sizes."""
        best = self.X[pareto.order(self.F)[: STARTS - 1]]
        everything = self.space.largest(np.concatenate((self.X, self._first)))
        rows = np.concatenate((everything[[int(np.argmax(self._saved(everything)))]], self.space.largest(best)))
        return rows[np.sort(np.unique(rows, axis=0, return_index=True)[1])]

    def _path(self, row: Rows) -> Rows:
        """The rows (k, G) from one (G,) to where nothing saves any more."""
        share = self.rng.dirichlet(np.ones(len(self._learnt)))  # of each asked objective
        path = [row]
        now, cost = float(self._saved(row[None])[0]), float(self._loss(row[None], share)[0])
        ground = GROUND * now
        for _ in range(STEPS):
            near = self.space.neighbours(path[-1])
            values = np.asarray(self._saved(near), dtype=np.float64) if len(near) else np.zeros(0)
            near, values = near[values < now - ground], values[values < now - ground]
            if len(near) == 0:
                break
            losses = self._loss(near, share)
            step = int(np.argmin((losses - cost) / (now - values)))
            path.append(near[step])
            now, cost = float(values[step]), float(losses[step])
        return np.array(path)

    def _loss(self, X: Rows, share: Floats) -> Floats:
        """(n,) what the asked objectives are guessed to be, in the units of each model, weighed."""
        return np.asarray(share @ np.array([learnt.model(X) for learnt in self._learnt]))

    def _level(self, X: Rows) -> Floats:
        """(n,) the logarithm of what is saved, where it is positive everywhere."""
        values = np.asarray(self._saved(X), dtype=np.float64)
        return np.log(values) if (values > 0).all() else values
