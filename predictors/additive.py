"""A cost that adds up, told by its logarithm: every feature costs so many milliseconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ROUNDS = 1  # of weighing the rows by what they were guessed to cost
LEAST = 0.2  # of the least cost seen: nothing is guessed below
PENALTIES = np.geomspace(1e-9, 1e4, 27)


class Additive:
    """exp(y) linear in F, by ridge regression of relative errors: a row counts by the inverse of what it is guessed to cost
    (iteratively reweighted least squares). The penalty is the one of smallest generalised cross-validation error.

    As in a latency table, what an operator adds does not depend on the others; the logarithm of a sum is no sum.
    """

    def fit(self, F: Floats, Z: Floats, y: Floats) -> Additive:
        """Learn from columns F (n, F) and logs of costs (n,)."""
        self._centre, spread = F.mean(axis=0), F.std(axis=0)
        self._spread = np.where(spread > 1e-9, spread, np.inf)
        self._unit = float(y.mean())
        cost = np.exp(y - self._unit)
        self._least = LEAST * float(cost.min())
        A = self._columns(F)
        guess = np.full(len(y), 1.0)
        for _ in range(ROUNDS + 1):
            self._solve(A / guess[:, None], 1.0 / guess, cost / guess)
            weighed = guess
            guess = np.maximum(self._constant + A @ self._weights, np.maximum(self._least, 0.5 * cost))
        # each row left out in closed form, the weighing and the penalty kept
        left = cost - weighed * self._missed
        self.left = self._unit + np.log(np.maximum(left, self._least))
        return self

    def predict(self, F: Floats, Z: Floats) -> Floats:
        """(n,) logs of costs."""
        cost = self._constant + self._columns(F) @ self._weights
        return np.asarray(self._unit + np.log(np.maximum(cost, self._least)))

    def _columns(self, F: Floats) -> Floats:
        return np.asarray((F - self._centre) / self._spread)

    def _solve(self, A: Floats, ones: Floats, b: Floats) -> None:
        """Ridge regression of b (n,) on A (n, F) and, without a penalty, on ``ones`` (n,)."""
        unit = ones / np.linalg.norm(ones)
        rest, target = A - np.outer(unit, unit @ A), b - unit * (unit @ b)
        u, s, vt = np.linalg.svd(rest, full_matrices=False)
        projected = u.T @ target
        gone = float(target @ target - projected @ projected)
        best, error = 1.0, np.inf
        for penalty in PENALTIES * len(b):
            shrink = s**2 / (s**2 + penalty)
            left = gone + float((((1.0 - shrink) * projected) ** 2).sum())
            left /= max(1.0 - (shrink.sum() + 1.0) / len(b), 1e-3) ** 2
            if left < error:
                best, error = float(penalty), left
        self._weights = vt.T @ (s / (s**2 + best) * projected)
        self._constant = float(unit @ (b - A @ self._weights)) / float(unit @ ones)
        leverage = u**2 @ (s**2 / (s**2 + best)) + unit**2
        self._missed = (b - A @ self._weights - self._constant * ones) / np.maximum(1.0 - leverage, 1e-3)
