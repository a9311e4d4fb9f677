"""The latency law of one operator: a trend, and a Gaussian process on what the trend leaves.

The trend is constant, or a law: so much for the call, a MAC and an activation, none negative; fitted to this operator's
own measurements, or with what all operators of the table have in common (a MAC and an activation cost the same). What it
leaves, in log latency, is a Gaussian process that is linear in the logs of MACs, activations, tokens, channels and sizes,
and in how they are aligned (a product of powers), plus a smooth deviation. Trend and kernel are chosen by leave-one-out,
which is exact and in closed form for a Gaussian process (Rasmussen and Williams, 2006, section 5.4.2): ten measurements are
enough. With one or two there is nothing to choose by, and the common law is scaled to them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.features import ALIGNMENT, spec_features
from search_spaces.spec import OperatorSpec

Floats = NDArray[np.float64]
Shape = tuple[float, float, float, float]
FLOOR_MS = 1e-6  # a latency is never taken to be less: logs stay finite
BEYOND = 2.0  # an estimate stays within this factor of the range of what the trend left of the measured ones
LEVEL = 10.0  # prior variance of the mean, which leave-one-out must not know from the row that it leaves out
SLOPES = (1.0, 10.0)  # prior variance of the linear trend
BENDS = (0.0, 0.3, 3.0)  # prior variance of the deviation; 0 is a purely linear model
LENGTHS = (1.0, 3.0)  # correlation length of the deviation, in standard deviations of the features
NOISES = (1e-4, 1e-3, 1e-2, 1e-1)  # variance of log latency that no feature explains
ALIGNED = 0.3  # weight of how sizes are aligned, which matters rarely, but then by factors
ENOUGH = 16  # measurements from which it can be told
UNKNOWN: Shape = (0.1, 0.1, 1.0, 0.03)  # slope, bend, length, noise where there is too little to choose by
CHOOSABLE = 3  # measurements from which leave-one-out says something
PULL = 0.03  # towards the same call for every operator, in measurements
TERMS = 3  # coefficients of the law: a call, MACs, activations


@dataclass(frozen=True)
class OperatorError:
    """How well one operator's model does on its own measurements, each left out in turn."""

    measurements: int
    mape: float  # mean absolute relative error, a fraction; nan where there were fewer than 3


class OperatorProcess:
    """Fitted to measured specs of one operator name.

    Args:
        specs: what was measured, n of them.
        ms: (n,) latencies.
        common: (3,) its law by `shared_laws`.
    """

    def __init__(self, specs: list[OperatorSpec], ms: Floats, common: Floats) -> None:
        self._sizes = sorted({size for spec in specs for size, _ in spec.sizes})
        F = spec_features(specs, self._sizes)
        self._centre, spread = F.mean(axis=0), F.std(axis=0)
        self._spread = np.where(spread > 1e-9, spread, 1.0)
        self._spread[ALIGNMENT] /= ALIGNED if len(ms) >= ENOUGH else 1e-9
        self._Z = (F - self._centre) / self._spread
        log = np.log(np.maximum(ms, FLOOR_MS))
        constant = np.array([float(np.exp(log.mean())), 0.0, 0.0])
        self._law, self._shape, self._variance = common, UNKNOWN, 1.0
        left = np.full(len(ms), np.nan)
        if len(ms) < CHOOSABLE:
            self._weights = np.linalg.solve(self._noisy(), log - self._trend(F))
        else:
            # a law that saw what leave-one-out leaves out is charged for it, as in generalised cross-validation
            laws = [(constant, 0), (common, 0)]
            laws += [(_own_law(F, np.exp(log)), TERMS)] if len(ms) >= 2 * TERMS else []
            best = np.inf
            for law, used in laws:
                self._law = law
                shape, weights, residual, variance = self._fit(log - self._trend(F))
                residual = residual * len(ms) / (len(ms) - used)
                if (residual**2).mean() < best:
                    best, left, chosen = float((residual**2).mean()), residual, (law, shape, weights, variance)
            self._law, self._shape, self._weights, self._variance = chosen
        rest = log - self._trend(F)
        self._low, self._high = float(rest.min() - np.log(BEYOND)), float(rest.max() + np.log(BEYOND))
        self.error = OperatorError(len(ms), float(np.abs(np.expm1(-left)).mean()))

    def predict(self, specs: list[OperatorSpec]) -> Floats:
        """(k,) ms."""
        F = spec_features(specs, self._sizes)
        rest = self._kernel(self._scaled(F), self._Z, self._shape) @ self._weights
        return np.exp(self._trend(F) + np.clip(rest, self._low, self._high))

    def covariance(self, specs: list[OperatorSpec], others: list[OperatorSpec]) -> Floats:
        """(k, m) of the errors of `predict` in log latency between ``specs`` and ``others``, as large as leave-one-out found
        them to be on what was measured."""
        Z, Y = (self._scaled(spec_features(list_, self._sizes)) for list_ in (specs, others))
        cross = self._kernel(self._Z, Y, self._shape)
        known = self._kernel(Z, self._Z, self._shape) @ np.linalg.solve(self._noisy(), cross)
        place = {spec: i for i, spec in enumerate(others)}
        own = np.zeros((len(specs), len(others)))
        for i, spec in enumerate(specs):
            if spec in place:
                own[i, place[spec]] = self._shape[-1]
        return np.asarray(self._variance * (self._kernel(Z, Y, self._shape) - known + own))

    def _fit(self, y: Floats) -> tuple[Shape, Floats, Floats, float]:
        """The kernel shape of smallest leave-one-out error on ``y`` (n,), its weights, its residuals, and how much larger
        their squares are than it expects."""
        best: tuple[Shape, Floats, Floats, float] = (UNKNOWN, np.zeros(len(y)), y, 1.0)
        least = np.inf
        for slope, bend, length in itertools.product(SLOPES, BENDS, LENGTHS):
            if bend == 0 and length != LENGTHS[0]:
                continue
            values, vectors = np.linalg.eigh(self._kernel(self._Z, self._Z, (slope, bend, length, 0.0)))
            values = np.maximum(values, 0.0)
            projected = vectors.T @ y
            for noise in NOISES:
                weights = vectors @ (projected / (values + noise))
                precision = (vectors**2) @ (1.0 / (values + noise))
                residual = weights / precision
                if (residual**2).mean() < least:
                    least = float((residual**2).mean())
                    best = ((slope, bend, length, noise), weights, residual, float((residual**2 * precision).mean()))
        return best

    def _kernel(self, A: Floats, B: Floats, shape: Shape) -> Floats:
        """(a, b) prior covariance of scaled rows ``A`` (a, F) and ``B`` (b, F)."""
        slope, bend, length, _ = shape
        width = A.shape[1]
        square = (A**2).sum(axis=1)[:, None] + (B**2).sum(axis=1) - 2.0 * A @ B.T
        smooth = bend * np.exp(-np.maximum(square, 0.0) / (2.0 * width * length**2))
        return np.asarray(LEVEL + slope * (A @ B.T) / width + smooth)

    def _noisy(self) -> Floats:
        """(n, n) covariance of what was measured."""
        return self._kernel(self._Z, self._Z, self._shape) + self._shape[-1] * np.eye(len(self._Z))

    def _scaled(self, F: Floats) -> Floats:
        return np.asarray((F - self._centre) / self._spread)

    def _trend(self, F: Floats) -> Floats:
        return np.log(np.maximum(_terms(F) @ self._law, FLOOR_MS))


def shared_laws(measured: Mapping[str, tuple[Floats, Floats]]) -> dict[str, Floats]:
    """Operator name -> (3,) non-negative ms of a call, of a MAC and of an activation, by least squares on relative errors:
    each operator has a call of its own, for runtimes split them into more or fewer kernels.

    measured: operator name -> MACs and activations (n, 2), and latencies (n,).
    """
    from scipy.optimize import nnls  # late: it takes long to import

    names = list(measured)
    work = np.concatenate([measured[name][0] for name in names])
    ms = np.concatenate([measured[name][1] for name in names])
    calls = np.repeat(np.eye(len(names)), [len(measured[name][1]) for name in names], axis=0)
    columns = np.column_stack((np.ones(len(ms)), work, calls)) / ms[:, None]
    scale = np.maximum(columns.max(axis=0), 1e-300)
    pull = np.column_stack((np.zeros((len(names), 3)), np.sqrt(PULL) * np.eye(len(names))))
    found = nnls(np.vstack((columns / scale, pull)), np.r_[np.ones(len(ms)), np.zeros(len(names))])[0] / scale
    return {name: np.array([found[0] + found[3 + i], *found[1:3]]) for i, name in enumerate(names)}


def _own_law(F: Floats, ms: Floats) -> Floats:
    return shared_laws({"": (_terms(F)[:, 1:], ms)})[""]


def _terms(F: Floats) -> Floats:
    """(n, 3): one, MACs and activations, back from the logs of `spec_features`."""
    return np.column_stack((np.ones(len(F)), np.expm1(F[:, 0]), np.expm1(F[:, 1])))
