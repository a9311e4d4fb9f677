"""Differentiable search: policies over choices, trained by gradients of the expected loss and of the expected latency.

Sources: Cai, Zhu and Han, "ProxylessNAS" (arXiv 1812.00332): the explicit latency term, and training by gates or by REINFORCE;
Liu, Simonyan and Yang, "DARTS" (arXiv 1806.09055); Jin et al., "RC-DARTS" (arXiv 1912.12814): the hard constraint. There one
network is trained together with its policy. Here weights are trained once and inherited, several policies with other
trade-offs give a front, and every gradient uses all that was told (importance weights as in Veach and Guibas, 1995).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtri

from nas.search.base import Searcher, register
from nas.search.candidates import admit, fresh, repair
from nas.search.cover import first_sample
from nas.search.nsga3 import directions
from nas.search.policies import Expectation, Policies
from nas.search.problem import Floats, Problem, Rows
from nas.search.projection import project
from predictors.threads import one_thread
from search_spaces.space import row_keys

POLICIES = 8  # at most, where there are several objectives
LEAST = 0.1  # weight that no objective of a trade-off goes below, before they are scaled to a sum of 1
STEPS, ROWS, ROUNDS = 8, 2, 25  # of Adam a round; rows told that are worth a round; rounds after one tell, at most
HOT, COLD = 0.3, 0.03  # entropy's weight in standard deviations of the loss, when the search begins and when it ends
EFFECTIVE = 0.5  # of the rows told, that importance weights must leave
PRIOR = 2.0  # rows, without any effect, that every effect estimated from rows is averaged with
GATED = 20.0  # rows, with the effect that gates say, that it is averaged with instead where there are gates
DRAWS, LIMIT_DRAWS = 8, 64  # of a policy, for the gradient of what is known, and for the expectation that is projected
TRIES = 64  # rows drawn from a policy, of which the new ones are asked for
HEATS = (1.0, 2.0, 4.0)  # by which policies that have nothing new are made less certain
GRADIENTS = Fraction(1, 3)  # of what is spent, that goes into gradients where the problem has them
STEEPEST = 3.0  # standard deviations of the loss that one choice may change, to first order


@register
class Differentiable(Searcher):
    """A sample that covers every choice; then, from each policy in turn, its most probable row where that is new, else a row
    drawn.

    The loss of a policy is a weighted sum of objectives, one trade-off each, spread evenly: what is asked by its rank among
    what was told (as normal scores), what is known as a logarithm in standard deviations, and the policy's entropy with a
    weight that falls as the budget is spent. Its gradient by the probabilities of choices comes

    - for what is known, from draws of the policy with every choice put in its place;
    - for what is asked, from the rows told (the score function, REINFORCE with the mean as baseline);
    - for the first asked objective, where the problem has a ``gradient``, from the gates of rows told as well, for the choices
      that have gates: to first order they say what a choice does here, without the noise of all the others. A third of the
      budget pays for them.

    Policies whose expected known objective is over a limit are projected onto it.
    """

    name = "differentiable"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        ways = directions(len(problem.names), POLICIES) + LEAST
        self._ways = ways / ways.sum(axis=1, keepdims=True)
        self._policies = Policies(problem.space, len(ways))
        self._uniform = -np.log(
            self._policies.legal.sum(axis=1)
        )  # log probability of a value, where all are drawn alike
        self._density: dict[bytes, float] = {}  # log probability with which rows were drawn
        self._gates: dict[bytes, tuple[float, Floats]] = {}
        self._paid = Fraction(0)  # for gates
        self._learnt = 0  # rows told that policies learnt from
        self._turn = 0  # of the policies

    @cached_property
    def _first(self) -> Rows:
        return first_sample(self.problem)

    def propose(self, n: int) -> Rows:
        """Up to ``n`` unseen feasible rows."""
        first = self.X[:0] if len(self.X) >= len(self._first) else admit(self.problem, self._first, self.seen, n)
        taken = self.seen | set(row_keys(first))
        X = first
        if len(X) < n and len(self.X) >= 2:
            self._learn()
            X = np.concatenate((X, self._drawn(n - len(X), taken)))
            taken |= set(row_keys(X))
        if len(X) < n:
            X = np.concatenate((X, fresh(self.problem, n - len(X), taken, self.rng)))
        return X

    def wanted(self) -> Rows:
        """See `Searcher.wanted`: rows of the last tell, while gradients have their share of what is spent."""
        gradient = self.problem.gradient
        if gradient is None or len(self.X) == 0:
            return self.X[:0]
        cost = gradient.cost
        owed = min(GRADIENTS * self.spent - self._paid, self.problem.evaluations - self.spent - len(self.out))
        last = self.X[self.told == self.told[-1]]
        return last[: max(int(owed / cost), 0)]

    def tell_gradient(self, X: Rows, losses: Floats, gates: Floats) -> None:
        """See `Searcher.tell_gradient`."""
        before = self.spent
        super().tell_gradient(X, losses, gates)
        self._paid += self.spent - before
        self._gates.update(zip(row_keys(X), zip(losses.tolist(), gates, strict=True), strict=True))

    # --- learning ---------------------------------------------------------------------------------------------------

    @one_thread  # sums then have one order, whatever the machine
    def _learn(self) -> None:
        """Gradient steps, as many as the rows that are new are worth."""
        from scipy.stats import rankdata  # late: it takes long to import

        rounds = min(-(-(len(self.X) - self._learnt) // ROWS), ROUNDS)
        self._learnt = len(self.X)
        temperature = HOT * (COLD / HOT) ** float(self.spent / self.problem.evaluations)
        scores = ndtri((np.apply_along_axis(rankdata, 0, self._asked) - 0.5) / len(self.X))
        for _ in range(rounds):
            effects = self._asked_effects(scores) + self._known_effects()
            for _ in range(STEPS):
                self._policies.descend(effects, temperature)
            for name, limit in self.problem.limits.items():
                uniform = self.rng.random((LIMIT_DRAWS, self.X.shape[1]))
                expected = Expectation(self._policies, self.problem.known[name], uniform, few=DRAWS)
                self._policies.logits = project(self._policies.logits, self._policies.legal, expected, limit)

    @property
    def _asked(self) -> Floats:
        return self.F[:, : len(self.problem.asked)]

    def _asked_effects(self, scores: Floats) -> Floats:
        """(P, G, V) expected weighted scores (n, a) of rows with a value, beyond the policy's expected score."""
        weights = self._weights()
        genes, width = self._policies.legal.shape
        has = np.zeros((len(self.X), genes * width))
        n, g = np.nonzero(self.space.active(self.X))
        has[n, g * width + self.X[n, g]] = 1.0
        counts = weights @ has
        total = np.zeros((len(weights), genes, width))
        for column, score in enumerate(scores.T):
            baseline = (weights @ score) / weights.sum(axis=1)
            advantage = weights * (score - baseline[:, None])
            effects = (advantage @ has) / (counts + PRIOR)
            if column == 0 and self._gates:
                said, gated = self._gate_effects(weights, score)
                effects = np.where(gated, (advantage @ has + GATED * said) / (counts + GATED), effects)
            total += self._ways[:, column, None, None] * effects.reshape(total.shape)
        return total

    def _gate_effects(self, weights: Floats, score: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """(P, G V) effects by gates, in units of the score (n,), and where there are any."""
        found = [(i, self._gates[key]) for i, key in enumerate(row_keys(self.X)) if key in self._gates]
        places = np.array([i for i, _ in found])
        losses = np.array([loss for _, (loss, _) in found])
        gates = np.array([one for _, (_, one) in found]).reshape(len(found), -1)
        spread = losses.std()
        # a unit of the loss in units of the score: the regression of the one on the other
        slope = max(float(np.cov(losses, score[places], bias=True)[0, 1]), 0.0) / spread**2 if spread > 0 else 0.0
        steps = np.clip(slope * np.nan_to_num(gates), -STEEPEST, STEEPEST)
        counts = weights[:, places] @ np.isfinite(gates)
        return (weights[:, places] @ steps) / np.maximum(counts, 1e-12), counts > 0

    def _weights(self) -> Floats:
        """(P, n) importance of the rows told for each policy: the ratio of its probability of a row and the one with which it
        was drawn, to a power at which ``EFFECTIVE`` of the rows are left; they sum to the effective number."""
        active = self.space.active(self.X)
        uniform = (active * self._uniform).sum(axis=1)
        drawn = np.array([self._density.get(key, u) for key, u in zip(row_keys(self.X), uniform, strict=True)])
        ratios = self._policies.log_likelihood(self.X) - drawn
        low, high = np.zeros(len(ratios)), np.ones(len(ratios))
        for power in [high, *[None] * 12]:
            middle = (low + high) / 2 if power is None else power
            enough = _effective(ratios, middle)[1] >= EFFECTIVE * len(self.X)
            low, high = np.where(enough, middle, low), np.where(enough, high, middle)
        weights, effective = _effective(ratios, low)
        return weights * effective[:, None]

    def _known_effects(self) -> Floats:
        """(P, G, V) the same of what is known, in standard deviations over the rows told."""
        total: Floats = np.zeros_like(self._policies.logits)
        for column, score in enumerate(self.problem.known.values(), len(self.problem.asked)):
            told = self.values[:, column]
            seen = np.log if (told > 0).all() else np.asarray
            scale = float(seen(told).std()) or 1.0
            uniform = self.rng.random((DRAWS, self.X.shape[1]))
            expected = Expectation(self._policies, partial(_seen, score, seen), uniform)
            total += self._ways[:, column, None, None] * expected.effects(self._policies.logits) / scale
        return total

    # --- asking -----------------------------------------------------------------------------------------------------

    def _drawn(self, n: int, taken: set[bytes]) -> Rows:
        """At most ``n`` new feasible rows, the policies taking turns."""
        count = len(self._ways)
        found, over = self.X[:0], self.X[:0]
        for heat in HEATS:
            rows = self._policies.draw(self.rng.random((count, TRIES, self.X.shape[1])), heat)
            if heat == HEATS[0]:
                rows = np.concatenate((self._policies.modes()[:, None], rows), axis=1)
            found, over = self._new(rows, n, found, taken), rows[:, :2].reshape(-1, rows.shape[2])
            if len(found) == n:
                break
        if len(found) < n and self.problem.limits:
            near = repair(self.problem, self._rows(over), self.rng)
            found = np.concatenate((found, admit(self.problem, near, taken | set(row_keys(found)), n - len(found))))
        self._turn += n
        likelihood = self._policies.log_likelihood(found)
        density = logsumexp(likelihood, axis=0) - np.log(count)  # the policies as one mixture
        self._density.update(zip(row_keys(found), density.tolist(), strict=True))
        return found

    def _rows(self, X: Rows) -> Rows:
        """Canonical rows of the space: ``X``, or in a space with only some combinations the nearest that it has."""
        return np.asarray(self.space.crossover(X, X, self.rng))

    def _new(self, rows: Rows, n: int, found: Rows, taken: set[bytes]) -> Rows:
        """``found`` and up to ``n`` in all of ``rows`` (P, k, G): the first new one of every policy, then the second, ..."""
        count, draws, genes = rows.shape
        X = self._rows(rows.reshape(-1, genes))
        known = taken | set(row_keys(found))
        new = self.problem.feasible(X) & np.array([key not in known for key in row_keys(X)])
        rank = new.reshape(count, draws).cumsum(axis=1).ravel()
        turn = np.repeat((np.arange(count) - self._turn) % count, draws)
        order = np.lexsort((turn, rank))
        return np.concatenate((found, admit(self.problem, X[order[new[order]]], known, n - len(found))))


def _effective(ratios: Floats, power: Floats) -> tuple[Floats, Floats]:
    """(P, n) weights that sum to 1, of log ratios times a power (P,), and how many rows (P,) they are worth."""
    logs = ratios * power[:, None]
    weights = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))
    return weights, 1.0 / (weights**2).sum(axis=1)


def _seen(score: Callable[[Rows], Floats], seen: Callable[[Floats], Floats], X: Rows) -> Floats:
    return np.asarray(seen(np.asarray(score(X), dtype=np.float64)))
