"""Which operators a table measures: first some that are spread over their sizes, then those that lower its error most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.errors import JobError
from predictors import OperatorModel
from search_spaces import Architecture, OperatorSpec, macs

Floats = NDArray[np.float64]


def choose_operators(specs: Sequence[OperatorSpec], count: int) -> list[OperatorSpec]:
    """At most ``count`` of ``specs``, spread over their sizes.

    Each operator name gets one, and of the rest a share in proportion to the root of its number of specs; within a name the
    next spec is the one farthest from those chosen so far (Gonzalez' greedy maximin design), on a logarithmic scale of
    sizes and shape.

    Raises:
        JobError: there are more operators than ``count``.
    """
    if count >= len(specs):
        return list(specs)
    groups: dict[str, list[OperatorSpec]] = {}
    for spec in specs:
        groups.setdefault(spec.name, []).append(spec)
    if count < len(groups):
        raise JobError(
            f"operators: got {count}; legal: at least {len(groups)}, one for each operator that the space has"
        )
    taken = dict.fromkeys(groups, 1)
    for _ in range(count - len(groups)):  # to the name that is farthest behind its share
        open_ = [name for name in groups if taken[name] < len(groups[name])]
        taken[min(open_, key=lambda name: taken[name] / len(groups[name]) ** 0.5)] += 1
    return [spec for name, group in groups.items() for spec in _spread(group, taken[name])]


def _spread(group: Sequence[OperatorSpec], count: int) -> list[OperatorSpec]:
    by_work = np.argsort([macs(spec) for spec in group], kind="stable")
    if count == 1:
        return [group[by_work[len(group) // 2]]]
    points = np.log1p([[value for _, value in spec.sizes] + list(spec.shape) for spec in group])
    points = points / np.maximum(np.ptp(points, axis=0), 1e-9)
    picked = [int(by_work[-1])]
    distance = np.linalg.norm(points - points[picked[0]], axis=1)
    while len(picked) < count:
        farthest = int(distance.argmax())
        picked.append(farthest)
        distance = np.minimum(distance, np.linalg.norm(points - points[farthest], axis=1))
    return [group[i] for i in picked]


def next_probes(model: OperatorModel, networks: Sequence[Architecture], count: int) -> list[OperatorSpec]:
    """At most ``count`` specs not measured yet, each the one that lowers the expected error of ``networks`` most.

    The error of a network's sum is that of its operators, weighted by their share of it; those of one operator name go
    together (`OperatorModel.covariance`). To measure a spec takes its own error away and what it tells of the others, by as
    much for every network as the model says, whatever the value will be: so a whole batch is chosen before any of it is
    measured (greedy A-optimal design; Krause, Singh and Guestrin, 2008, for Gaussian processes).
    """
    by_name: dict[str, list[OperatorSpec]] = {}
    for spec in dict.fromkeys(spec for network in networks for spec in network.specs):
        by_name.setdefault(spec.name, []).append(spec)
    ms = model.ms([spec for specs in by_name.values() for spec in specs])
    total = np.array([sum(ms[spec] for spec in network.specs) for network in networks])
    counts = [Counter(network.specs) for network in networks]
    parts = [
        _Part(
            specs,
            np.array([[times[spec] * ms[spec] for spec in specs] for times in counts]) / total[:, None],
            model.covariance(specs),
        )
        for specs in by_name.values()
    ]
    chosen: list[OperatorSpec] = []
    while len(chosen) < count:
        part = max(parts, key=lambda part: part.best_gain)
        if part.best_gain <= 0:
            break
        chosen.append(part.take())
    return chosen


class _Part:
    """One operator's specs: their share of each network (n, k), and the covariance of their log errors (k, k)."""

    def __init__(self, specs: list[OperatorSpec], share: Floats, covariance: Floats) -> None:
        self._specs, self._share, self._covariance = specs, share, covariance
        self._find()

    def take(self) -> OperatorSpec:
        """The best spec, which from now on counts as measured."""
        best = self._best
        column = self._covariance[:, best].copy()
        self._covariance -= np.outer(column, column) / column[best]
        self._covariance[best, :] = self._covariance[:, best] = 0.0
        self._find()
        return self._specs[best]

    def _find(self) -> None:
        variance = np.diag(self._covariance)
        known = variance <= 1e-12
        explained = ((self._share @ self._covariance) ** 2).sum(axis=0)
        gain = np.where(known, 0.0, explained / np.where(known, 1.0, variance))
        self._best = int(gain.argmax())
        self.best_gain = float(gain[self._best])
